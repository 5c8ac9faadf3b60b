/** Where tasks go: each strategy places as it says, and what can run nowhere is refused with words. Three nodes of two CPUs. */

import { ANN } from "../../clients/world.ts";
import { RegistryClient } from "../../harness/registry-client.ts";
import type { Report } from "../../harness/report.ts";
import type { Loose } from "../lab/engine.ts";
import { equal, inspectService, QUICK } from "../looking.ts";
import { makeOrder } from "../signing.ts";
import type { World } from "../world.ts";
import { checkUserns } from "./placement-userns.ts";
import { expected, fullOf, placed, refusalOf, remove, service, state, type Table, tasksOf } from "./placing.ts";

const ZONES = { m1: "b", w1: "a", w2: "b" };

export async function placement(world: World, report: Report): Promise<void> {
  for (const [node, zone] of Object.entries(ZONES))
    await world.docker("node", "update", "--label-add", `zone=${zone}`, node);
  await checkSpread(report, world);
  await checkConstraints(report, world);
  await checkBinpack(report, world);
  await checkRandom(report, world);
  await checkVolumes(report, world);
  await checkPlatform(report, world);
  await checkEnvironment(report, world);
  await checkUserns(report, world);
  for (const node of Object.keys(ZONES)) await world.docker("node", "update", "--label-rm", "zone", node);
}

async function checkSpread(report: Report, world: World): Promise<void> {
  await report.check("spread: evenly over the zones, as the table said before", async () => {
    const table = await placed(world, { name: "spread", replicas: 4, spreadOver: "zone" });
    equal(await tasksOf(world, "spread"), { m1: 1, w1: 2, w2: 1 });
    equal(expected(table), { m1: 1, w1: 2, w2: 1 });
    await remove(world, ["spread"]);
  });
  await report.check("spread: over a label that no node has is refused with those there are", async () => {
    const answer = await world.deploy(service(world, { name: "spread", spreadOver: "zoen" }));
    equal(refusalOf(answer), [
      409,
      "placement",
      "no node has the label zoen to spread over; node labels there are: zone",
    ]);
  });
}

async function checkConstraints(report: Report, world: World): Promise<void> {
  await report.check("constraints: tasks run where they match, and the table says how many nodes do", async () => {
    const constraints = ["node.labels.zone == b", "node.role!=manager"];
    const table = await placed(world, { name: "bound", replicas: 2, constraints });
    equal(await tasksOf(world, "bound"), { w2: 2 });
    equal(table.constraints, [
      { constraint: "node.labels.zone==b", matches: 2, of: 3 },
      { constraint: "node.role!=manager", matches: 2, of: 3 },
    ]);
    equal(table.nodes.find(({ node }) => node === "w1")?.why, "node.labels.zone==b: it is a");
    await remove(world, ["bound"]);
  });
  await report.check(
    "constraints: what no node matches is refused with what there is, and nothing is made",
    async () => {
      const answer = await world.deploy(service(world, { name: "bound", constraints: ["node.labels.zone==c"] }));
      const reason = "bound can run nowhere: node.labels.zone==c matches 0 of 3 nodes (zone is b on 2, a on 1)";
      equal(refusalOf(answer), [409, "placement", reason]);
      equal((await world.services()).bound, undefined);
    },
  );
  await report.check("constraints: a drained node does not count", async () => {
    await world.docker("node", "update", "--availability", "drain", "w1");
    const answer = await world.deploy(service(world, { name: "bound", constraints: ["node.labels.zone==a"] }));
    await world.docker("node", "update", "--availability", "active", "w1");
    const reason = "bound can run nowhere: node.labels.zone==a matches 0 of 2 nodes (w1 is drain)";
    equal(refusalOf(answer), [409, "placement", reason]);
  });
}

async function checkBinpack(report: Report, world: World): Promise<void> {
  const pack = (name: string, replicas: number) => ({
    ...{ name, replicas, strategy: "binpack", reservations: { cpus: 0.4 } },
  });
  await report.check("binpack: one node is filled before the next is begun, by what is reserved", async () => {
    const first = fullOf(await placed(world, pack("pack1", 3)));
    equal(Object.keys(await tasksOf(world, "pack1")), [first]);
    await placed(world, pack("pack2", 2));
    equal(await tasksOf(world, "pack2"), { [first]: 2 });
    const second = fullOf(await placed(world, pack("pack3", 1)));
    equal(await tasksOf(world, "pack3"), { [second]: 1 });
    if (first === second) throw new Error(`${first} has no room for more`);
  });
  await report.check("binpack: an update is compiled anew, and its own tasks are not in its way", async () => {
    const before = Object.keys(await tasksOf(world, "pack1"));
    const table = await placed(world, pack("pack1", 7));
    const now = await tasksOf(world, "pack1");
    equal(now, expected(table));
    equal(
      Object.values(now).reduce((sum, count) => sum + count, 0),
      7,
    );
    if (Object.keys(now).length !== 2 || !Object.keys(now).includes(before[0] ?? ""))
      throw new Error(`expected two nodes, one of them ${before}: ${JSON.stringify(now)}`);
  });
  await report.check("binpack: what does not fit, or reserves nothing, is refused", async () => {
    const large = await world.deploy(service(world, { ...pack("pack4", 2), reservations: { cpus: 1.9 } }));
    const loose = await world.deploy(service(world, { ...pack("pack4", 1), reservations: {} }));
    equal(
      [large, loose].map(refusalOf).map(([status, code]) => [status, code]),
      [
        [409, "placement"],
        [409, "placement"],
      ],
    );
    equal(refusalOf(loose)[2], "binpack goes by what is reserved, and pack4 reserves neither CPU nor memory");
    if (!/^binpack: [01] of 2 tasks of pack4 fit \(.* CPU free, 1.9 needed/.test(String(refusalOf(large)[2])))
      throw new Error(String(refusalOf(large)[2]));
    await remove(world, ["pack1", "pack2", "pack3"]);
  });
}

async function checkRandom(report: Report, world: World): Promise<void> {
  await report.check(
    "random: a dry run tells the nodes and changes nothing; the same seed draws the same",
    async () => {
      const asked = { name: "lots", replicas: 2, strategy: "random", seed: 11 };
      const [nodes, services] = await state(world);
      const { last, lines } = await world.deploy(service(world, { ...asked, dryRun: true }));
      const { outcome } = last as { outcome: { kind: string; dryRun: boolean; pinned: string; placement: Table } };
      equal([lines.length, outcome.kind, outcome.dryRun], [1, "done", true]);
      equal(await state(world), [nodes, services]);
      const table = await placed(world, asked);
      equal(table, outcome.placement);
      equal(table.seed, 11);
      const chosen = table.nodes.filter((row) => row.chosen).map(({ node }) => node);
      equal(Object.keys(await tasksOf(world, "lots")), chosen);
      await remove(world, ["lots"]);
    },
  );
  await report.check("random: other seeds draw other nodes", async () => {
    const draws = [1, 2, 3, 4, 5, 6].map(async (seed) => {
      const asked = { name: "lots", replicas: 1, strategy: "random", seed, dryRun: true };
      const { last } = await world.deploy(service(world, asked));
      return fullOf((last as { outcome: { placement: Table } }).outcome.placement);
    });
    const drawn = new Set(await Promise.all(draws));
    if (drawn.size < 2) throw new Error(`always ${[...drawn]}`);
  });
  await report.check("a dry run needs the order: what was signed as one cannot be made a deployment of", async () => {
    const dry = JSON.stringify(service(world, { name: "lots", dryRun: true }));
    const order = makeOrder(dry, world.operator);
    const answer = await world.order(JSON.stringify(service(world, { name: "lots" })), order);
    equal(refusalOf(answer), [403, "order", "the order is for another specification"]);
  });
}

async function checkVolumes(report: Report, world: World): Promise<void> {
  const mounts = (driver: string) => [{ type: "volume", source: "kept", target: "/kept", driver }];
  await report.check("a volume driver that no node has is refused, one that is there makes the volume", async () => {
    const answer = await world.deploy(service(world, { name: "volumes", mounts: mounts("nfs") }));
    equal(refusalOf(answer), [409, "placement", "volumes can run nowhere: the volume driver nfs is on no node"]);
    await placed(world, { name: "volumes", mounts: mounts("local"), constraints: ["node.hostname==w1"] });
    const found = await world.dockerOn(world.lab.node("w1"), "volume", "ls", "--format", "{{.Name}} {{.Driver}}");
    equal(found.split("\n").includes("kept local"), true);
    await remove(world, ["volumes"]);
  });
}

async function checkPlatform(report: Report, world: World): Promise<void> {
  await report.check("an image for other machines is refused with words, and is not scheduled", async () => {
    await pushAsArm(world, "1", "arm");
    await world.sign("arm");
    const answer = await world.deploy(service(world, { name: "foreign", image: world.image("arm") }));
    const are = ["m1", "w1", "w2"].map((node) => `${node} is linux/amd64`).join(", ");
    equal(refusalOf(answer), [409, "placement", `foreign can run nowhere: its image is for linux/arm64, and ${are}`]);
    equal((await world.services()).foreign, undefined);
  });
}

/** Of ann/web:from an index that says it is for arm64 alone. */
async function pushAsArm(world: World, from: string, to: string): Promise<void> {
  const client = new RegistryClient(world.server, ANN);
  const { headers, body } = await client.manifest("ann/web", from);
  const child = { mediaType: headers["content-type"], digest: headers["docker-content-digest"], size: body.length };
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const manifests = [{ ...child, platform: { os: "linux", architecture: "arm64" } }];
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
  const write = { method: "PUT", headers: { "content-type": mediaType }, body: index };
  const { status, body: answer } = await client.ask(`/v2/ann/web/manifests/${to}`, write);
  client.close();
  if (status !== 201) throw new Error(`${status} ${answer}`);
}

async function checkEnvironment(report: Report, world: World): Promise<void> {
  const rules = { require: ["node.labels.zone==b"], inject: ["node.role!=manager"] };
  await world.setPolicy({}, { bounded: { placement: rules } });
  const own = { name: "bounded", image: world.image("1"), replicas: 2, update: QUICK };
  await report.check("an environment's constraints: required are asked for, injected are added", async () => {
    const answer = await world.deploy(own, "bounded");
    const reason = "bounded wants every service to ask for node.labels.zone==b among its constraints";
    equal(refusalOf(answer), [409, "placement", reason]);
    const { last } = await world.deploy({ ...own, constraints: ["node.labels.zone==b"] }, "bounded");
    equal((last as { outcome?: Loose }).outcome?.kind, "deployed");
    equal(await tasksOf(world, "bounded"), { w2: 2 });
    const { Spec } = (await inspectService(world, "bounded")) as { Spec: { TaskTemplate: { Placement: Loose } } };
    equal(Spec.TaskTemplate.Placement.Constraints, ["node.labels.zone==b", "node.role!=manager"]);
    await remove(world, ["bounded"], "bounded");
  });
}
