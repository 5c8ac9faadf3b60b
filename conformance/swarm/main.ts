/**
 * `npm run conformance:swarm`: the bridge between a freshly started Goldseal and a Swarm of one real engine. What ann signed
 * with goldseal runs by its digest; all else is refused, and what fails is rolled back to what verifies now.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ANN } from "../clients/world.ts";
import { freePort } from "../harness/port.ts";
import { Report } from "../harness/report.ts";
import { getTool, missingTools, mustRun } from "../harness/tools.ts";
import { checkRefusals } from "./refusals.ts";
import { type Answer, World } from "./world.ts";

const TOOLS = ["dockerd", "docker-20.10", "busybox", "curl"];
const RUNS = "trap exit TERM; while :; do sleep 1 & wait; done";

process.exitCode = await main();

async function main(): Promise<number> {
  const report = new Report();
  const missing = missingTools(TOOLS);
  if (missing.length > 0 || process.getuid?.() !== 0) {
    report.skip("swarm", missing.length > 0 ? `${missing.join(", ")} not found` : "an engine of our own needs root");
    return report.finish();
  }
  const world = await World.open();
  try {
    await checkStory(report, world);
  } catch (error) {
    report.fail("the story itself", error instanceof Error ? (error.stack ?? "") : String(error));
  } finally {
    await world.close();
  }
  return report.finish();
}

function spec(image: string, more: object = {}): string {
  return JSON.stringify({ name: "web", image, replicas: 2, ...more });
}

async function checkStory(report: Report, world: World): Promise<void> {
  const one = await prepare(world);
  const bridge = await world.bridgeGet("/readyz");
  await report.check("the bridge is ready: engine, policy, clock", () =>
    equal(bridge, { status: 200, text: '{"ready":true,"faults":[]}' }),
  );
  await checkRefusals(report, world, spec);
  await report.check("a signed tag runs, by the digest that was signed, and every task is of it", async () => {
    await world.push("1", `echo moved; ${RUNS}`);
    const { last, lines } = await deploy(world, spec(world.image("1")));
    const pinned = `${world.server.host}/ann/web@${one}`;
    equal(last, { outcome: { kind: "deployed", pinned } });
    if (lines.length < 2) throw new Error("no progress was told");
    equal(await world.services(), { web: pinned });
    equal(await runningImages(world), [pinned, pinned]);
  });
  const two = await world.push("2", `echo 2; ${RUNS}`);
  await world.sign("2");
  await report.check("an update, by tag, and a change without one, by digest", async () => {
    equal((await deploy(world, spec(world.image("2")))).last, {
      outcome: { kind: "deployed", pinned: pin(world, two) },
    });
    const env = { env: { COLOUR: "blue" } };
    const { last } = await deploy(world, spec(`${world.server.host}/ann/web@${two}`, env));
    equal(last, { outcome: { kind: "deployed", pinned: pin(world, two) } });
    equal(await runningImages(world), [pin(world, two), pin(world, two)]);
  });
  await world.push("bad", "exit 3");
  await world.sign("bad");
  await report.check("an update that fails is rolled back to what ran before", async () => {
    const { last } = await deploy(world, spec(world.image("bad")));
    equal(kindOf(last), ["failed", pin(world, two)]);
    equal(await runningImages(world), [pin(world, two), pin(world, two)]);
  });
  await report.check(
    "what was revoked meanwhile is passed over: rolled back to the newest that verifies now (T25)",
    async () => {
      await world.goldseal("trust", "revoke", world.image("2"));
      const { last } = await deploy(world, spec(world.image("bad"), { env: { AGAIN: "1" } }));
      equal(kindOf(last), ["failed", pin(world, one)]);
      equal(await runningImages(world), [pin(world, one), pin(world, one)]);
    },
  );
  await checkKilled(report, world, one);
  await report.check("a service that somebody else made is not taken over by its name", async () => {
    await world.docker("service", "create", "-q", "--detach", "--name", "theirs", pin(world, one));
    const { status, last } = await deploy(world, spec(world.image("1"), { name: "theirs" }));
    equal([status, last?.code], [403, "spec"]);
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
      const asked = await deploy(world, spec(world.image("1"), { name })).catch(() => undefined);
      if (asked !== undefined) throw new Error(`it was not killed: ${JSON.stringify(asked)}`);
      await world.startBridge();
      const own = journal(world).filter(({ service }) => service === name);
      equal(own.length, point === "bridge.afterVerify" ? 0 : 1);
      const { id } = own[0] ?? {};
      if (id === undefined) return equal((await world.services())[name], undefined);
      await until(() => journal(world).some((record) => record.id === id && record.event === "converged"));
      equal((await world.services())[name], pin(world, digest));
      equal(journal(world).filter(({ service }) => service === name).length, 1);
    });
  }
}

async function prepare(world: World): Promise<string> {
  const { host } = world.server;
  const env = { DOCKER_CONFIG: join(world.folder, "docker") };
  const login = ["--host", world.dockerd.socket, "login", "--username", ANN.name, "--password-stdin", host];
  await mustRun(getTool("docker-20.10"), login, { env, input: ANN.password });
  const swarm = `127.0.0.1:${await freePort()}`;
  await world.docker("swarm", "init", "--listen-addr", swarm, "--advertise-addr", swarm);
  const digest = await world.push("1", `echo 1; ${RUNS}`);
  await world.push("unsigned", `echo unsigned; ${RUNS}`);
  await world.api("PUT", "/api/v1/orgs/ann/repositories/web", JSON.stringify({ visibility: "public" }));
  await world.goldseal("trust", "init", `${host}/ann/web`);
  await world.sign("1");
  await world.setPolicy();
  await world.startBridge();
  return digest;
}

function deploy(world: World, text: string): Promise<Answer> {
  return world.order(text, world.makeOrder(text));
}

function pin(world: World, digest: string): string {
  return `${world.server.host}/ann/web@${digest}`;
}

function kindOf(last: unknown): unknown[] {
  const { outcome } = last as { readonly outcome?: { readonly kind?: string; readonly rolledBackTo?: string } };
  return [outcome?.kind, outcome?.rolledBackTo];
}

/** From the engine itself, not from what the Swarm says of it. */
async function runningImages(world: World): Promise<string[]> {
  const format = '{{index .Config.Labels "com.docker.swarm.service.name"}} {{.Config.Image}}';
  const ids = (await world.docker("ps", "-q", "--filter", "label=com.docker.swarm.service.name=web")).split("\n");
  const found = await Promise.all(ids.map((id) => world.docker("inspect", "--format", format, id)));
  return found.map((line) => line.split(" ")[1] ?? "");
}

interface JournalLine {
  readonly event: string;
  readonly id?: string;
  readonly service?: string;
}

function journal(world: World): JournalLine[] {
  const text = readFileSync(join(world.bridgeStore, "journal"), "utf8");
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

async function until(isSo: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt++) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("it did not come so far within a minute");
}

function equal(found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`expected ${b}\n   found ${a}`);
}
