/** One service through its life: what was signed runs by its digest, all else is refused, what fails is rolled back. */
import type { Report } from "../../harness/report.ts";
import { type Loose, until } from "../lab/engine.ts";
import { equal, inspectService, journal, QUICK, running } from "../looking.ts";
import type { World } from "../world.ts";
import { checkRefusals } from "./refusals.ts";

/** Five of them are for the answers that are still on their way. */
const STOP_SECONDS = 15;
const UPDATE_SECONDS = 10;
export const RUNS = "trap exit TERM; while :; do sleep 1 & wait; done";

export async function deploying(world: World, report: Report): Promise<void> {
  const one = await prepare(world);
  const bridge = await world.bridgeGet("/readyz");
  await report.check("the bridge is ready: engine, policy, clock", () =>
    equal(bridge, { status: 200, text: '{"ready":true,"faults":[]}' }),
  );
  await checkRefusals(report, world, (image, more) => JSON.stringify(spec(image, more)));
  await report.check("a signed tag runs, by the digest that was signed, and every task is of it", async () => {
    await world.push("1", `echo moved; ${RUNS}`);
    const { last, lines } = await world.deploy(spec(world.image("1")));
    equal(last, { outcome: { kind: "deployed", pinned: world.pin(one) } });
    if (lines.length < 2) throw new Error("no progress was told");
    equal(await world.services(), { web: world.pin(one) });
    equal(await runningImages(world), [world.pin(one), world.pin(one)]);
  });
  const two = await world.push("2", `echo 2; ${RUNS}`);
  await world.sign("2");
  await report.check("an update, by tag, and a change without one, by digest", async () => {
    equal((await world.deploy(spec(world.image("2")))).last, {
      outcome: { kind: "deployed", pinned: world.pin(two) },
    });
    const { last } = await world.deploy(spec(world.pin(two), { env: { COLOUR: "blue" } }));
    equal(last, { outcome: { kind: "deployed", pinned: world.pin(two) } });
    equal(await runningImages(world), [world.pin(two), world.pin(two)]);
  });
  await checkFailing(report, world, { one, two });
  await checkNew(report, world);
  await checkLimits(report, world);
  await checkKilled(report, world, one);
  await checkStopped(report, world, one);
  await report.check("a service that somebody else made is not taken over by its name", async () => {
    await world.docker("service", "create", "-q", "--detach", "--name", "theirs", world.pin(one));
    const { status, last } = await world.deploy(spec(world.image("1"), { name: "theirs" }));
    equal([status, last?.code], [403, "spec"]);
  });
}

function spec(image: string, more: object = {}): object {
  return { name: "web", image, replicas: 2, update: { parallelism: 2, monitor: "2s" }, ...more };
}

/** What every part begins with: an image, signed by ann; a policy that asks for her; the bridge. Its digest. */
export async function prepare(world: World): Promise<string> {
  const digest = await world.push("1", `echo 1; ${RUNS}`);
  await world.push("unsigned", `echo unsigned; ${RUNS}`);
  await world.api("PUT", "/api/v1/orgs/ann/repositories/web", JSON.stringify({ visibility: "public" }));
  await world.goldseal("trust", "init", `${world.server.host}/ann/web`);
  await world.sign("1");
  await world.setPolicy();
  await world.startBridge();
  return digest;
}

async function checkFailing(report: Report, world: World, { one, two }: { one: string; two: string }): Promise<void> {
  await world.push("bad", "exit 3");
  await world.sign("bad");
  await report.check("an update that fails is rolled back to what ran before", async () => {
    const { last } = await world.deploy(spec(world.image("bad")));
    equal(kindOf(last), ["failed", world.pin(two)]);
    equal(await runningImages(world), [world.pin(two), world.pin(two)]);
  });
  await report.check(
    "what was revoked meanwhile is passed over: rolled back to the newest that verifies now (T25)",
    async () => {
      await world.goldseal("trust", "revoke", world.image("2"));
      const { last } = await world.deploy(spec(world.image("bad"), { env: { AGAIN: "1" } }));
      equal(kindOf(last), ["failed", world.pin(one)]);
      equal(await runningImages(world), [world.pin(one), world.pin(one)]);
    },
  );
}

/** It runs for a second: whoever looks once finds it running. */
async function checkNew(report: Report, world: World): Promise<void> {
  await world.push("crash", "sleep 1; exit 3");
  await world.sign("crash");
  const restart = { condition: "any", delay: "1s" };
  const order = (more: object) => world.deploy(spec(world.image("crash"), { name: "crash", replicas: 1, ...more }));
  await report.check("a new service that ends again and again has failed, with what its tasks said", async () => {
    const { last } = await order({ restart });
    const { kind, reason, rolledBackTo } = (last?.outcome ?? {}) as Outcome;
    equal([kind, rolledBackTo], ["failed", undefined]);
    const wanted = ["it ended 3 times", "task: non-zero exit (3)", "goldseal services rm crash"];
    for (const part of wanted) if (!reason?.includes(part)) throw new Error(reason);
    await world.change("service.remove", { name: "crash" });
  });
  await report.check("so has one that the engine starts no more, at once", async () => {
    const { last } = await order({ restart: { condition: "none" } });
    const { kind, reason } = (last?.outcome ?? {}) as Outcome;
    equal(kind, "failed");
    if (!reason?.includes("the engine starts it no more; failed: task: non-zero exit (3)")) throw new Error(reason);
    await world.change("service.remove", { name: "crash" });
  });
}

interface Outcome {
  readonly kind?: string;
  readonly reason?: string;
  readonly rolledBackTo?: string;
}

/** What changes no container's own specification makes new tasks all the same. */
async function checkLimits(report: Report, world: World): Promise<void> {
  await report.check("an update of nothing but limits, or ports, is waited for", async () => {
    const held = async () => (await running(world, "limited")).map(({ id }) => id).sort();
    const order = async (more: object) => {
      const { last } = await world.deploy(spec(world.image("1"), { name: "limited", update: QUICK, ...more }));
      equal((last?.outcome as Outcome | undefined)?.kind ?? last, "deployed");
      return held();
    };
    const ports = [{ target: 80, published: 18_086, mode: "host" }];
    const all = [await order({}), await order({ limits: { pids: 50 } }), await order({ limits: { pids: 50 }, ports })];
    equal(new Set(all.flat()).size, 6);
    equal(
      all.map(({ length }) => length),
      [2, 2, 2],
    );
    const { Spec } = (await inspectService(world, "limited")) as { readonly Spec: Loose };
    equal((Spec.TaskTemplate as { Resources: { Limits: unknown } }).Resources.Limits, { Pids: 50 });
  });
}

/** Killed at each point; the next bridge brings the deployment to its end, once. */
async function checkKilled(report: Report, world: World, digest: string): Promise<void> {
  const points = ["bridge.afterVerify", "bridge.afterIntent", "bridge.afterDockerCall", "bridge.afterReread"];
  for (const point of points) {
    const name = point.replace(".", "-").toLowerCase();
    await report.check(`killed at ${point}: the next bridge finishes, or knows of nothing`, async () => {
      await world.stopBridge();
      await world.startBridge({ GOLDSEAL_FAILPOINT: `${point}:1` });
      const asked = await world.deploy(spec(world.image("1"), { name, update: QUICK })).catch(() => undefined);
      if (asked !== undefined) throw new Error(`it was not killed: ${JSON.stringify(asked)}`);
      await world.startBridge();
      const own = journal(world).filter(({ service }) => service === name);
      equal(own.length, point === "bridge.afterVerify" ? 0 : 1);
      const { id } = own[0] ?? {};
      if (id === undefined) return equal((await world.services())[name], undefined);
      await until("it is finished", () =>
        journal(world).some((record) => record.id === id && record.event === "converged"),
      );
      equal((await world.services())[name], world.pin(digest));
      equal(journal(world).filter(({ service }) => service === name).length, 1);
    });
  }
}

/** An update that takes its time from one task to the next. */
async function checkStopped(report: Report, world: World, digest: string): Promise<void> {
  const update = { parallelism: 1, delay: `${UPDATE_SECONDS}s`, monitor: "1s" };
  const slow = (env: object) => world.deploy(spec(world.image("1"), { name: "slow", update, env }));
  await report.check(
    "stopped while an update goes on, it does not wait, and the next bridge sees it through",
    async () => {
      await slow({});
      const asked = slow({ COLOUR: "red" }).catch(() => undefined);
      const events = () => {
        const { id } = journal(world).findLast(({ service }) => service === "slow") ?? {};
        return journal(world).flatMap((record) => (record.id === id ? [record.event] : []));
      };
      await until("the engine has it", () => `${events()}` === "intent,sent,applied");
      const stopping = Date.now();
      await world.stopBridge();
      const seconds = (Date.now() - stopping) / 1000;
      if (seconds > STOP_SECONDS) throw new Error(`it took ${seconds.toFixed(1)} s`);
      await asked;
      equal(events(), ["intent", "sent", "applied"]);
      await world.startBridge();
      await until("it is finished", () => events().includes("converged"));
      equal((await world.services()).slow, world.pin(digest));
    },
  );
}

export function kindOf(last: unknown): unknown[] {
  const { outcome } = last as { readonly outcome?: { readonly kind?: string; readonly rolledBackTo?: string } };
  return [outcome?.kind, outcome?.rolledBackTo];
}

async function runningImages(world: World): Promise<string[]> {
  return (await running(world, "web")).map(({ image }) => image);
}
