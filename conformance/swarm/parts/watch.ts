/**
 * What the bridge sees of what runs: each state from a real act, by hand and round the bridge, seen within ten seconds; and
 * what the policy wants to be done about it. Everything is told by the engines, the journal and the figures.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { askEngine, until } from "../lab/engine.ts";
import type { LabNode } from "../lab.ts";
import { equal, type JournalLine, journal, type Part, running } from "../looking.ts";
import type { World } from "../world.ts";

/** design.md: whoever goes round the bridge is seen within so many. */
const SEEN_SECONDS = 10;
/** For what nobody promised a time for: only a failure waits so long. */
const PATIENCE_SECONDS = 60;
const RUNS = "trap exit TERM; while :; do sleep 1 & wait; done";
const WATCHED = "ann/watched";
const policyOf = (own: object) => ({ watched: { images: ["ann/*"], ...own } });

export const watch: Part = async (world, report) => {
  const digests = await prepare(world);
  await checkStates(world, report, digests);
  await checkAway(world, report);
  await checkReactions(world, report, digests);
  await world.setPolicy({}, policyOf({}));
  for (const name of ["seen-web", "seen-back"]) await world.docker("service", "rm", name).catch(() => "");
};

interface Digests {
  readonly one: string;
  readonly two: string;
}

async function prepare(world: World): Promise<Digests> {
  const one = await world.push("1", `echo watched 1; ${RUNS}`, WATCHED);
  const two = await world.push("2", `echo watched 2; ${RUNS}`, WATCHED);
  await world.api("PUT", "/api/v1/orgs/ann/repositories/watched", JSON.stringify({ visibility: "public" }));
  await world.goldseal("trust", "init", `${world.server.host}/${WATCHED}`);
  for (const tag of ["1", "2"]) await world.sign(tag, WATCHED);
  await world.setPolicy({}, policyOf({}));
  world.pinAlso(WATCHED);
  await world.stopBridge();
  await world.startBridge();
  return { one, two };
}

/** What is done about an update that fails is looked at elsewhere: nobody has to wait for it here. */
const UPDATE = { parallelism: 2, monitor: "1s" };

const deploy = (world: World, name: string, tag: string, more: object = {}) =>
  world.deploy({ name, image: world.image(tag, WATCHED), replicas: 2, update: UPDATE, ...more }, "watched");

/** The last that the journal says of what is not well; undefined: it is, or nothing was said. */
function lastSeen(world: World, what: string, name: string): JournalLine | undefined {
  return journal(world).findLast((line) => line.event === "seen" && line.what === what && String(line.name) === name);
}

/** @throws Error when it was not seen in time */
async function seen(
  world: World,
  what: string,
  name: string,
  state: string,
  seconds = SEEN_SECONDS,
): Promise<JournalLine> {
  const look = () => {
    const line = lastSeen(world, what, name);
    return line?.state === state ? line : undefined;
  };
  return until(`${what} ${name} is seen to be ${state}`, look, seconds);
}

const trustedAgain = (world: World, service: string) => seen(world, "service", service, "trusted", PATIENCE_SECONDS);

async function checkStates(world: World, report: Report, { one, two }: Digests): Promise<void> {
  await deployBoth(world, report);
  await report.check("seen: a service that somebody made with docker", async () => {
    await world.docker("service", "create", "-q", "--detach", "--name", "stray", world.pin(one, WATCHED));
    await seen(world, "service", "stray", "unmanaged");
    await world.docker("service", "rm", "stray");
  });
  await report.check("seen: an update by hand, to an image that is signed as well", async () => {
    await world.docker("service", "update", "-q", "--detach", "--image", world.pin(two, WATCHED), "seen-web");
    const { reason } = await seen(world, "service", "seen-web", "drifted");
    equal(reason, "somebody changed TaskTemplate.ContainerSpec.Image");
    equal((await deploy(world, "seen-web", "1")).last, deployed(world, one));
    await trustedAgain(world, "seen-web");
  });
  await report.check("seen: a rollback by hand", async () => {
    equal((await deploy(world, "seen-back", "2")).last, deployed(world, two));
    await world.docker("service", "rollback", "-q", "--detach", "seen-back");
    const { reason } = await seen(world, "service", "seen-back", "unmanaged");
    if (!String(reason).startsWith("it was put back by hand")) throw new Error(String(reason));
    equal((await deploy(world, "seen-back", "2")).last, deployed(world, two));
    await trustedAgain(world, "seen-back");
  });
  await report.check("seen: docker run on a worker, of which no manager knows", async () => {
    const worker = world.lab.node("w1");
    await world.dockerOn(worker, "run", "-d", "--name", "run-by-hand", "--network", "none", world.pin(one, WATCHED));
    await seen(world, "container", "run-by-hand", "unmanaged");
    await world.dockerOn(worker, "rm", "-f", "run-by-hand");
  });
  await report.check("seen: docker run that says it is a task", async () => {
    const worker = world.lab.node("w1");
    const label = ["--label", "com.docker.swarm.service.id=made-up"];
    await world.dockerOn(
      worker,
      "run",
      "-d",
      "--name",
      "claims",
      "--network",
      "none",
      ...label,
      world.pin(one, WATCHED),
    );
    await seen(world, "container", "claims", "unmanaged");
    await world.dockerOn(worker, "rm", "-f", "claims");
  });
  await report.check("seen: a signature that was taken back", async () => {
    await world.goldseal("trust", "revoke", world.image("2", WATCHED));
    await seen(world, "service", "seen-back", "trust-lost", PATIENCE_SECONDS);
    equal(lastSeen(world, "service", "seen-web")?.state, "trusted");
    await world.sign("2", WATCHED);
    await trustedAgain(world, "seen-back");
  });
  await report.check("seen: a node's own copy of an image, changed under the same reference", () =>
    checkTampered(world, one, two),
  );
  await report.check("figures: how many there are of each state, and the last look is no older than that", async () => {
    const figures = (await world.bridgeGet("/metrics")).text;
    const [, age = "-1"] = /^goldseal_bridge_age_seconds\{of="look"\} (\S+)$/m.exec(figures) ?? [];
    if (!(Number(age) >= 0 && Number(age) < SEEN_SECONDS)) throw new Error(`the last look was ${age} s ago`);
    for (const state of ["trusted", "trust-lost", "drifted", "unmanaged", "unknown"])
      if (!figures.includes(`goldseal_bridge_services{state="${state}"}`)) throw new Error(`${state} is missing`);
  });
}

async function deployBoth(world: World, report: Report): Promise<void> {
  await report.check("what the bridge deployed is trusted, by all that every engine shows", async () => {
    for (const name of ["seen-web", "seen-back"]) equal(kindOf((await deploy(world, name, "1")).last), "deployed");
    await until("two services are trusted", async () => (await countOf(world, "trusted")) >= 2);
    equal(lastSeen(world, "service", "seen-web"), undefined);
  });
}

/** As root on a node can: the reference stays, the engine's own table says that it is another image. */
async function checkTampered(world: World, one: string, two: string): Promise<void> {
  const worker = world.lab.node("w2");
  await world.docker("node", "update", "--label-add", "tampered=yes", "w2");
  equal(
    (await deploy(world, "seen-here", "1", { replicas: 1, constraints: ["node.labels.tampered == yes"] })).last,
    deployed(world, one),
  );
  await world.dockerOn(worker, "pull", "-q", world.pin(two, WATCHED));
  const other = String(
    ((await askEngine(worker.socketPath, "GET", `/images/${world.pin(two, WATCHED)}/json`)) as { Id: string }).Id,
  );
  await worker.stop();
  await world.lab.down("w2");
  point(worker, world.pin(one, WATCHED), other);
  await worker.start();
  await until("its task runs again", async () => (await running(world, "seen-here")).length === 1).catch(
    async (cause: unknown) => {
      throw new Error(await world.docker("service", "ps", "--no-trunc", "seen-here"), { cause });
    },
  );
  const [task] = await running(world, "seen-here");
  equal(task?.image, world.pin(one, WATCHED));
  const look = () =>
    journal(world).find(
      (line) => line.event === "seen" && line.what === "container" && line.state === "drifted" && line.id === task?.id,
    );
  const { reason } = await until("the container is seen to be of something else", look, SEEN_SECONDS);
  if (!String(reason).includes(other)) throw new Error(String(reason));
  await world.change("service.remove", { name: "seen-here" }, "watched");
  await world.docker("node", "update", "--label-rm", "tampered", "w2");
  await world.dockerOn(worker, "image", "rm", "-f", world.pin(one, WATCHED)).catch(() => "");
}

/** The engine reads its table of references when it starts. */
function point(node: LabNode, reference: string, imageId: string): void {
  const image = join(node.folder, "data", "image");
  const [driver = ""] = readdirSync(image);
  const file = join(image, driver, "repositories.json");
  const table = JSON.parse(readFileSync(file, "utf8")) as { Repositories: Record<string, Record<string, string>> };
  const entries = Object.values(table.Repositories).find((known) => reference in known);
  if (entries === undefined) throw new Error(`${file} does not know ${reference}`);
  entries[reference] = imageId;
  writeFileSync(file, JSON.stringify(table));
}

async function checkAway(world: World, report: Report): Promise<void> {
  await report.check(
    "a node whose engine does not answer is said to be unseen, and the others are looked at",
    async () => {
      const worker = world.lab.node("w2");
      await worker.stop();
      try {
        await seen(world, "node", "w2", "unseen");
        await world.lab.down("w2");
      } finally {
        await worker.start();
      }
      await seen(world, "node", "w2", "seen", PATIENCE_SECONDS);
    },
  );
}

async function checkReactions(world: World, report: Report, { one, two }: Digests): Promise<void> {
  await report.check(
    "onTrustLost replace: by the newest that verifies now, once, on record before and after",
    async () => {
      await world.setPolicy({}, policyOf({ onTrustLost: "replace" }));
      await world.goldseal("trust", "revoke", world.image("2", WATCHED));
      await until("it runs the other", async () => (await world.services())["seen-back"] === world.pin(one, WATCHED));
      await until("on record", () =>
        journal(world).some(({ event, name }) => event === "reacted" && name === "seen-back"),
      );
      const events = journal(world).filter(({ name, action }) => name === "seen-back" && action === "replace");
      equal(
        events.map(({ event }) => event),
        ["reaction", "reacted"],
      );
      await world.sign("2", WATCHED);
    },
  );
  await report.check("onTrustLost freeze: what somebody changed by hand is put back", async () => {
    await world.setPolicy({}, policyOf({ onTrustLost: "freeze" }));
    await world.docker("service", "scale", "--detach", "seen-web=4");
    const { outcome } = await until("it is put back", () => findReacted(world, "seen-web", "restore"));
    equal(outcome, `it is ${world.pin(one, WATCHED)}`);
    // Two of them are still being stopped by then.
    await until("two tasks again", async () => (await running(world, "seen-web")).length === 2);
    equal((await world.services())["seen-web"], world.pin(one, WATCHED));
  });
  await report.check("onTrustLost remove: the service goes", async () => {
    await world.setPolicy({}, policyOf({ onTrustLost: "remove" }));
    equal((await deploy(world, "seen-web", "2")).last, deployed(world, two));
    await world.goldseal("trust", "revoke", world.image("2", WATCHED));
    await until("it is gone", async () => (await world.services())["seen-web"] === undefined);
    equal((await world.services())["seen-back"], world.pin(one, WATCHED));
    await world.sign("2", WATCHED);
  });
  await report.check("onUnmanaged remove, where every environment says so: service and container go", async () => {
    await setUnmanaged(world, "remove");
    const worker = world.lab.node("w1");
    await world.dockerOn(worker, "run", "-d", "--name", "go-away", "--network", "none", world.pin(one, WATCHED));
    await world.docker("service", "create", "-q", "--detach", "--name", "go-too", world.pin(one, WATCHED));
    await until("the service is gone", async () => !("go-too" in (await world.services())));
    const names = () => world.dockerOn(worker, "ps", "-a", "--format", "{{.Names}}");
    await until("the container is gone", async () => !(await names()).includes("go-away"));
    equal((await world.services())["seen-back"], world.pin(one, WATCHED));
    await setUnmanaged(world, "alert");
  });
  await report.check("the registry away: nothing is removed, whatever the policy says", async () => {
    await world.stopRegistry();
    try {
      const isUnknown = async () => (await countOf(world, "trusted")) === 0 && (await countOf(world, "unknown")) > 0;
      await until("it is unknown", isUnknown, 90);
      equal((await world.services())["seen-back"], world.pin(one, WATCHED));
    } finally {
      await world.startRegistry();
    }
    await until("it is trusted again", async () => (await countOf(world, "unknown")) === 0);
    await trustedAgain(world, "seen-back");
  });
}

/** How many services are so, by the figures; -1: they do not say. */
async function countOf(world: World, state: string): Promise<number> {
  const { text } = await world.bridgeGet("/metrics");
  const [, count = "-1"] = new RegExp(`^goldseal_bridge_services\\{state="${state}"\\} (\\d+)$`, "m").exec(text) ?? [];
  return Number(count);
}

/** In every environment that there is, whoever brought it. */
async function setUnmanaged(world: World, onUnmanaged: string): Promise<void> {
  const { payload } = JSON.parse(await world.api("GET", "/api/v1/policies/bridge")) as { readonly payload: string };
  const { environments } = JSON.parse(Buffer.from(payload, "base64").toString()) as {
    readonly environments: Readonly<Record<string, object>>;
  };
  // Of `prod` each document says anew what a service may ask for.
  const next = Object.entries(environments).map(([name, own]) => [
    name,
    name === "prod" ? { onUnmanaged } : { ...own, onUnmanaged },
  ]);
  await world.setPolicy({}, Object.fromEntries(next));
}

const findReacted = (world: World, service: string, action: string): JournalLine | undefined =>
  journal(world).findLast((line) => line.event === "reacted" && line.name === service && line.action === action);

const deployed = (world: World, digest: string) => ({
  outcome: { kind: "deployed", pinned: world.pin(digest, WATCHED) },
});

function kindOf(last: unknown): unknown {
  return (last as { readonly outcome?: { readonly kind?: string } }).outcome?.kind;
}
