/** What the bridge shows of a real Swarm, and the changes that are no deployments: each against what the engines themselves say. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { askEngine, type Loose, listOf, until } from "../lab/engine.ts";
import { equal, QUICK, running } from "../looking.ts";
import type { World } from "../world.ts";
import { RUNS } from "./deploying.ts";

const [NETWORK, VOLUME, SERVICE] = ["views-net", "views-certs", "viewed"] as const;
const CANARY = "canary-0123456789-of-a-secret";

export async function views(world: World, report: Report): Promise<void> {
  await world.push("views", `echo hello €; echo trouble >&2; ${RUNS}`);
  await world.sign("views");
  await checkNetworks(report, world);
  await checkVolumes(report, world);
  await checkServices(report, world);
  await checkSecrets(report, world);
  await checkNodes(report, world);
  await report.check("who may not look is shown nothing", async () => {
    equal((await world.view("nodes", "mallory")).status, 403);
    equal((await world.bridgeGet("/api/v1/cluster/nodes")).status, 403);
  });
  await report.check("once its service is gone the network is removed", async () => {
    await done(world, "service.remove", { name: SERVICE });
    await until("nobody hangs on the network", async () => (await usersOf(world)).length === 0);
    // The managers keep a network until they have given up its tasks too: a moment after the service.
    await until("no task of it is left", async () => (await running(world, SERVICE)).length === 0);
    await done(world, "network.remove", { name: NETWORK });
    equal(await named(world, "/networks", NETWORK), []);
  });
}

async function done(world: World, action: string, body: object): Promise<void> {
  const { last } = await world.change(action, body);
  equal((last?.outcome as Loose | undefined)?.kind ?? last, "done");
}

async function shown(world: World, path: string): Promise<Loose> {
  const { status, text } = await world.view(path);
  if (status !== 200) throw new Error(text);
  return JSON.parse(text);
}

const listed = async (world: World, name: string, query = ""): Promise<Loose[]> =>
  (await shown(world, `${name}${query}`))[name] as Loose[];

/** As a manager has it. */
async function named(world: World, path: string, name: string): Promise<Loose[]> {
  const all = await listOf(world.lab.node("m1").socketPath, path);
  return all.filter(({ Name, Spec }) => Name === name || (Spec as Loose | undefined)?.Name === name);
}

async function usersOf(world: World): Promise<unknown[]> {
  const network = (await listed(world, "networks")).find(({ name }) => name === NETWORK);
  return [...((network?.services as unknown[]) ?? []), ...Array(Number(network?.others ?? 0)).fill("another")];
}

async function checkNetworks(report: Report, world: World): Promise<void> {
  await report.check("an overlay network is made as ordered, and shown", async () => {
    await done(world, "network.create", { name: NETWORK, attachable: true, subnets: ["10.77.0.0/24"] });
    const [network] = await named(world, "/networks", NETWORK);
    equal([network?.Driver, network?.Scope, network?.Attachable], ["overlay", "swarm", true]);
    const view = (await listed(world, "networks")).find(({ name }) => name === NETWORK);
    equal([view?.environment, view?.encrypted, view?.services], ["prod", false, []]);
    equal((view?.subnets as Loose[] | undefined)?.[0]?.subnet, "10.77.0.0/24");
  });
  await report.check("a subnet that another network has is refused, for no engine says so", async () => {
    const { status, last } = await world.change("network.create", { name: "views-two", subnets: ["10.77.0.0/16"] });
    equal([status, last?.code], [409, "conflict"]);
  });
  await report.check("an encrypted one is, and says so", async () => {
    await done(world, "network.create", { name: "views-vault", encrypted: true });
    const view = (await listed(world, "networks")).find(({ name }) => name === "views-vault");
    equal(view?.encrypted, true);
    await done(world, "network.remove", { name: "views-vault" });
  });
}

async function checkVolumes(report: Report, world: World): Promise<void> {
  const { last } = await world.deploy({
    ...{ name: SERVICE, image: world.image("views"), networks: [NETWORK], endpointMode: "dnsrr", update: QUICK },
    mounts: [{ type: "volume", source: VOLUME, target: "/data" }],
    constraints: ["node.hostname==w2"],
  });
  await report.check("a service on w2 with a volume and the network", () =>
    equal((last?.outcome as Loose | undefined)?.kind ?? last, "deployed"),
  );
  await world.dockerOn(world.lab.node("w1"), "volume", "create", "--label", "kind=tls", `${VOLUME}-old`);
  await report.check("volume search finds the right node, and who mounts it", async () => {
    const found = await listed(world, "volumes", `?name=${VOLUME.slice(2)}`);
    equal(
      found.map(({ name, node, orphaned }) => [name, node, orphaned]),
      [
        [`${VOLUME}-old`, "w1", true],
        [VOLUME, "w2", false],
      ],
    );
    equal(
      (found[1]?.containers as Loose[] | undefined)?.map(({ service, state }) => [service, state]),
      [[SERVICE, "running"]],
    );
    equal((await listed(world, "volumes", "?label=kind%3Dtls")).length, 1);
    equal((await listed(world, "volumes", `?node=w1&name=${VOLUME}&orphaned=false`)).length, 0);
  });
  await report.check("a network in use is not removed, and its users are named", async () => {
    const { status, last } = await world.change("network.remove", { name: NETWORK });
    equal(
      [status, last?.code, last?.detail],
      [409, "conflict", `the network ${NETWORK} is used by service ${SERVICE}`],
    );
    equal((await named(world, "/networks", NETWORK)).length, 1);
  });
  await report.check("a container that somebody runs on it by hand is seen too", async () => {
    const image = world.image("views");
    const w1 = world.lab.node("w1");
    const id = await world.dockerOn(w1, "run", "--detach", "--network", NETWORK, image);
    try {
      equal(await usersOf(world), [SERVICE, "another"]);
      const { last } = await world.change("network.remove", { name: NETWORK });
      if (!String(last?.detail).includes(`container ${id.split("\n").at(-1)?.slice(0, 12)}`))
        throw new Error(JSON.stringify(last));
    } finally {
      await world.dockerOn(w1, "rm", "--force", id.split("\n").at(-1) ?? "");
    }
  });
  await report.check("a node that does not answer is named", async () => {
    const w1 = world.lab.node("w1");
    await w1.stop();
    try {
      const { volumes, unreachable } = await shown(world, `volumes?name=${VOLUME}`);
      equal(
        (volumes as Loose[]).map(({ node }) => node),
        ["w2"],
      );
      equal(
        (unreachable as Loose[]).map(({ node }) => node),
        ["w1"],
      );
      await world.lab.down("w1");
    } finally {
      await w1.start();
      await world.lab.ready();
    }
  });
}

async function checkServices(report: Report, world: World): Promise<void> {
  await report.check("the service and its task are shown as they are", async () => {
    const service = (await listed(world, "services")).find(({ name }) => name === SERVICE);
    equal([service?.environment, service?.running, service?.wanted], ["prod", 1, 1]);
    equal(service?.networks, [NETWORK]);
    const { tasks } = await shown(world, `services/${SERVICE}/tasks`);
    const [task] = tasks as Loose[];
    equal([task?.name, task?.node, task?.state], [`${SERVICE}.1`, "w2", "running"]);
  });
  await report.check("its log comes line by line, with stream, task and node", async () => {
    const lines = await logOf(world, SERVICE);
    const of = (stream: string) => lines.find((line) => line.stream === stream);
    equal([of("stderr")?.text, of("stderr")?.name, of("stderr")?.node], ["trouble", `${SERVICE}.1`, "w2"]);
    equal(of("stdout")?.text, "hello €");
  });
  await report.check("so does the log of a terminal, of which the engine tells no streams", async () => {
    const name = `${SERVICE}-tty`;
    const { last } = await world.deploy({ name, image: world.image("views"), tty: true, update: QUICK });
    equal((last?.outcome as Loose | undefined)?.kind ?? last, "deployed");
    const lines = await logOf(world, name);
    equal(
      lines.map(({ stream, name, text, partial }) => [stream, name, text, partial]),
      ["hello €", "trouble"].map((text) => ["stdout", `${name}.1`, text, false]),
    );
    await done(world, "service.remove", { name });
  });
}

/** As soon as it has two lines. */
async function logOf(world: World, service: string): Promise<readonly Loose[]> {
  return until("the log", async () => {
    const { text } = await world.view(`services/${service}/logs?tail=10`);
    const all: Loose[] = text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
    return all.length >= 2 && all;
  });
}

async function checkSecrets(report: Report, world: World): Promise<void> {
  await report.check(
    "secrets and configs are written, shown by name, and removed; what is in them stays nowhere",
    async () => {
      for (const kind of ["secret", "config"]) {
        await done(world, `${kind}.create`, { name: "views-key", data: Buffer.from(CANARY).toString("base64") });
        const [view] = await listed(world, `${kind}s`);
        equal([view?.name, view?.environment, view?.services], ["views-key", "prod", []]);
        equal((await named(world, `/${kind}s`, "views-key")).length, 1);
        await done(world, `${kind}.remove`, { name: "views-key" });
        equal(await named(world, `/${kind}s`, "views-key"), []);
      }
      const seen = readFileSync(join(world.bridgeStore, "journal"), "utf8") + world.bridge.output;
      for (const trace of [CANARY, Buffer.from(CANARY).toString("base64").slice(0, 20)])
        if (seen.includes(trace)) throw new Error("it is in the journal or the log");
    },
  );
}

async function checkNodes(report: Report, world: World): Promise<void> {
  await report.check("nodes are shown with what is free, their engine, user namespaces and certificate", async () => {
    const nodes = await listed(world, "nodes");
    equal(
      nodes.map(({ name, state, role, userns, certificate }) => [name, state, role, userns, certificate].join()),
      world.lab.nodes.map(({ name }) => `${name},ready,${name.startsWith("m") ? "manager" : "worker"},off,ready`),
    );
    const { ServerVersion } = (await askEngine(world.lab.node("w2").socketPath, "GET", "/info")) as Loose;
    equal(nodes.find(({ name }) => name === "w2")?.engine, ServerVersion);
  });
  await report.check("a node gets a label, is drained and comes back", async () => {
    await done(world, "node.update", { node: "w1", labels: { "views.zone": "a" }, availability: "drain" });
    const one = async () => (await listed(world, "nodes")).find(({ name }) => name === "w1");
    equal([(await one())?.availability, (await one())?.labels], ["drain", { "views.zone": "a" }]);
    await done(world, "node.update", { node: "w1", labels: { "views.zone": null }, availability: "active" });
    equal([(await one())?.availability, (await one())?.labels], ["active", {}]);
  });
  await report.check("a worker becomes a manager, and a worker again", () => checkRoles(world));
  await report.check("the only manager is not demoted", async () => {
    const { status, last } = await world.change("node.update", { node: "m1", role: "worker" });
    equal([status, last?.code], [409, "conflict"]);
  });
}

/** Each step is over on the node itself before the next: of two managers both are needed for any change. */
async function checkRoles(world: World): Promise<void> {
  const [worker, manager] = [world.lab.node("w1"), world.lab.node("m1")];
  const isManager = async (): Promise<boolean> => {
    const { Swarm } = (await askEngine(worker.socketPath, "GET", "/info")) as { readonly Swarm: Loose };
    return Swarm.ControlAvailable === true;
  };
  const isReachable = async (): Promise<boolean> => {
    const node = (await askEngine(manager.socketPath, "GET", "/nodes/w1")) as { readonly ManagerStatus?: Loose };
    return node.ManagerStatus?.Reachability === "reachable";
  };
  const roleOf = async () => (await listed(world, "nodes")).find(({ name }) => name === "w1")?.role;
  await done(world, "node.update", { node: "w1", role: "manager" });
  await until("w1 is a manager", async () => (await isManager()) && (await isReachable()));
  equal(await roleOf(), "manager");
  await done(world, "node.update", { node: "w1", role: "worker" });
  await until("w1 is none any more", async () => !(await isManager()) && !(await isReachable()));
  equal(await roleOf(), "worker");
  await world.lab.ready();
}
