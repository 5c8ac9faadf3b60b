/**
 * The honest story: pushed and signed by QA, promoted to operations, and deployed from there by whoever may. The environment
 * `gold` runs what is in `ops/…`, and asks for QA's signature in the trust data of `qa/…`. Both are private: the nodes, where
 * nobody signed in, pull with what the bridge gives them, whose account is no administrator's.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { callEngine, type Loose, until } from "../lab/engine.ts";
import type { LabNode } from "../lab.ts";
import { ask, equal, running } from "../looking.ts";
import type { World } from "../world.ts";

const PORT = 18080;
const [QA, OPS] = ["qa/shop", "ops/shop"] as const;

/** Says its version and where it runs. */
const saying = (version: string): string =>
  `mkdir -p /www; echo "${version} on $NODE" >/www/index.html; httpd -f -p 80 -h /www & trap exit TERM; wait`;

export async function story(world: World, report: Report): Promise<void> {
  const began = new Date();
  const one = await prepare(world, report);
  await report.check("a node by itself may not pull it: it is private", async () => {
    const path = `/images/create?fromImage=${encodeURIComponent(`${world.server.host}/${OPS}`)}&tag=1`;
    const { status, body } = await callEngine(world.lab.node("w1").socketPath, "POST", path);
    equal([status, /^pull access denied/.test(String((body as Loose).message))], [404, true]);
  });
  await report.check("three replicas on three nodes, by digest, and each node answers for its own", async () => {
    equal(await deploy(world, "1", 3), world.pin(one, OPS));
    equal(await placedOn(world), { m1: world.pin(one, OPS), w1: world.pin(one, OPS), w2: world.pin(one, OPS) });
    await allAnswer(world, "one");
  });
  const two = await release(world, "2", saying("two"));
  await report.check("an update rolls over all three", async () => {
    equal(await deploy(world, "2", 3), world.pin(two, OPS));
    await allAnswer(world, "two");
  });
  await release(world, "3", "exit 3");
  await report.check("an update that fails is rolled back by the bridge to the newest that verifies", async () => {
    const told = await deploy(world, "3", 3).catch(String);
    if (!told.includes(`rolled back to ${world.pin(two, OPS)}`)) throw new Error(told);
    equal([...new Set(Object.values(await placedOn(world)))], [world.pin(two, OPS)]);
    await allAnswer(world, "two");
  });
  await report.check("a change of the number of replicas", async () => {
    equal(await deploy(world, "2", 2), world.pin(two, OPS));
    await until("one has stopped", async () => Object.keys(await placedOn(world)).length === 2);
  });
  await checkPowerCut(world, report, world.pin(two, OPS));
  await checkHistory(world, report, { digest: one, began });
}

/** QA's image becomes operations'; the bridge learns whose roots count for both, and of the environment. */
async function prepare(world: World, report: Report): Promise<string> {
  for (const org of ["qa", "ops"]) await world.found(org);
  const digest = await world.push("1", saying("one"), QA);
  await world.goldseal("trust", "init", `${world.server.host}/${QA}`);
  // Whose signature it is the registry knows by this; the bridge has it from the policy document.
  await world.goldseal("key", "add", "ann");
  await report.check("pushed, signed by QA, and promoted to operations: the very same digest", async () => {
    await world.sign("1", QA);
    await world.goldseal("promote", `${QA}:1`, OPS);
    const promotion = JSON.parse(await world.goldseal("promotions", "list", "--destination", OPS, "--json"));
    equal([promotion.state, promotion.digest], ["done", digest]);
  });
  world.pinAlso(QA, OPS);
  await world.setPolicy({}, { gold: { images: ["ops/*"], require: [{ team: "qa", k: 1, gun: "qa/{name}" }] } });
  await world.stopBridge();
  await world.startBridge();
  return digest;
}

async function release(world: World, tag: string, command: string): Promise<string> {
  const digest = await world.push(tag, command, QA);
  await world.sign(tag, QA);
  await world.goldseal("promote", `${QA}:${tag}`, OPS);
  return digest;
}

/** As olga does it: what her command printed, the image that runs. */
async function deploy(world: World, tag: string, replicas: number): Promise<string> {
  const file = join(world.folder, "shop.json");
  writeFileSync(file, JSON.stringify(spec(world, tag, replicas)));
  return (await world.operate("gold", "deploy", "--file", file)).trim();
}

/** There is no IPVS in many kernels: a port of each node, and names that DNS answers with all addresses. */
function spec(world: World, tag: string, replicas: number): object {
  return {
    ...{ name: "shop", image: world.image(tag, OPS), replicas, endpointMode: "dnsrr", maxPerNode: 1 },
    ports: [{ target: 80, published: PORT, mode: "host" }],
    env: { NODE: "{{.Node.Hostname}}" },
    update: { parallelism: 3, monitor: "2s" },
  };
}

/** Its images by node. */
async function placedOn(world: World): Promise<Record<string, string>> {
  const found = (await running(world, "shop")).sort((a, b) => a.node.localeCompare(b.node));
  return Object.fromEntries(found.map(({ node, image }) => [node, image]));
}

async function allAnswer(world: World, version: string): Promise<void> {
  for (const { ip, name } of world.lab.nodes) await answers(ip, `${version} on ${name}`);
}

const answers = (ip: string, expected: string): Promise<unknown> =>
  until(`${ip} says "${expected}"`, async () => (await ask(ip, PORT)) === expected);

/** The node that has none takes over from one whose power is cut. */
async function checkPowerCut(world: World, report: Report, pinned: string): Promise<void> {
  await report.check("a node's power is cut: its task starts elsewhere, by the same digest", async () => {
    const before = await placedOn(world);
    const isFree = ({ name }: LabNode): boolean => before[name] === undefined;
    const free = world.lab.nodes.find(isFree);
    const victim = world.lab.workers.find((node) => !isFree(node));
    if (free === undefined || victim === undefined) throw new Error(JSON.stringify(before));
    await victim.kill();
    await answers(free.ip, `two on ${free.name}`);
    equal((await placedOn(world))[free.name], pinned);
    await victim.start();
    await world.lab.ready();
    await until("it is back, and two run", async () => Object.keys(await placedOn(world)).length === 2);
    equal(Object.values(await placedOn(world)), [pinned, pinned]);
  });
}

interface Told {
  readonly at: string;
  readonly kind: string;
  readonly repository: string;
  readonly by: readonly string[];
  readonly detail: { readonly role?: string; readonly where?: string };
}

/** Of the first image, in the order in which it happened; `goldseal history` prints the same. */
async function checkHistory(
  world: World,
  report: Report,
  { digest, began }: { readonly digest: string; readonly began: Date },
): Promise<void> {
  await report.check("its history: who pushed, signed, promoted and deployed it, and when", async () => {
    const { history }: { readonly history: readonly Told[] } = JSON.parse(
      await world.api("GET", `/api/v1/history?digest=${digest}`),
    );
    // The roles of releases and of promotions say what a tag is, and are no second signature.
    const isOwn = ({ kind, detail: { role } }: Told): boolean =>
      ["pushed", "promoted", "deployed"].includes(kind) || (kind === "signed" && role === "targets/ann");
    const own = history.filter(isOwn);
    equal(
      own.map(({ kind, repository, by, detail: { where } }) => [kind, repository, by.join(), where ?? ""]),
      [
        ["pushed", QA, "ann", ""],
        ["signed", QA, "ann", ""],
        ["promoted", OPS, "ann", ""],
        ["deployed", OPS, "olga", "ran in gold as shop"],
      ],
    );
    const times = [began.toISOString(), ...own.map(({ at }) => at), new Date().toISOString()];
    equal(times, times.toSorted());
    const lines = (await world.goldseal("history", world.image("1", OPS))).split("\n").map((line) => line.split(/ +/));
    for (const { at, kind, repository, by } of own) {
      const isTold = ([when, what, where = "", who]: readonly string[]): boolean =>
        when === at && what === kind && where.split(":")[0] === repository && who === by.join();
      if (!lines.some(isTold))
        throw new Error(`${at} ${kind} is not in\n${lines.map((line) => line.join(" ")).join("\n")}`);
    }
  });
}
