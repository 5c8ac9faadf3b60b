/**
 * A private image on nodes that nobody signed in: what they pull with is the bridge's business. The secret is renewed without
 * a task being restarted, and what runs is not deleted.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { listOf, until } from "../lab/engine.ts";
import { equal, filters, inspectService, journal, type Part, QUICK, running } from "../looking.ts";
import type { World } from "../world.ts";

const REPOSITORY = "vault/app";
const NAME = "vault";
const RUNS = "trap exit TERM; while :; do sleep 1 & wait; done";
/** Elsewhere it was built, so nobody has to pull it there. */
const WORKERS = { constraints: ["node.role==worker"] };

export const credentials: Part = async (world, report) => {
  const digest = await prepare(world);
  const pinned = world.pin(digest, REPOSITORY);
  await report.check("a private image runs on nodes that nobody signed in", async () => {
    const spec = { name: NAME, image: world.image("1", REPOSITORY), replicas: 1, update: QUICK, ...WORKERS };
    equal((await world.deploy(spec)).last, { outcome: { kind: "deployed", pinned } });
    equal(await imagesOf(world), [pinned]);
  });
  await checkKept(world, report, digest);
  await report.check("its secret is renewed twice, and no task hears of it", async () => {
    const before = await snapshot(world);
    for (const round of [1, 2]) {
      await restartWhenDue(world);
      await until("the secret is renewed", () => renewals(world).length === round);
    }
    equal(await snapshot(world), before);
  });
  await report.check(
    "a node without the image pulls it with the secret of the renewal; the first one is dead",
    async () => {
      const [{ node = "" } = {}] = await running(world, NAME);
      await world.docker("node", "update", "--availability", "drain", node);
      const moved = await until("its task runs on the other worker", async () => {
        const [found] = await running(world, NAME);
        return found?.node !== node && found;
      });
      await world.docker("node", "update", "--availability", "active", node);
      equal(moved.image, pinned);
    },
  );
  await checkAlarm(world, report);
  await report.check("with the service its secrets go", async () => {
    await world.docker("service", "rm", NAME);
    // It looks every quarter of a minute, and when it starts.
    await world.stopBridge();
    await world.startBridge();
    const isRevoked = () =>
      journal(world).some(({ event, service }) => event === "pull-secret-revoked" && service === NAME);
    const isLeft = () => readdirSync(folderOf(world)).some((name) => readState(world, name).service === NAME);
    await until("they are taken back", () => isRevoked() && !isLeft());
  });
  await report.check("no secret stands in the journal, or was printed", () => {
    const texts = [readFileSync(join(world.bridgeStore, "journal"), "utf8"), world.bridge.output];
    if (texts.some((text) => /gsb_|"password"/.test(text))) throw new Error("a secret");
  });
};

async function prepare(world: World): Promise<string> {
  await world.found("vault");
  const digest = await world.push("1", `echo vault; ${RUNS}`, REPOSITORY);
  await world.goldseal("trust", "init", `${world.server.host}/${REPOSITORY}`);
  await world.sign("1", REPOSITORY);
  world.pinAlso(REPOSITORY);
  await world.stopBridge();
  await world.startBridge();
  return digest;
}

async function checkKept(world: World, report: Report, digest: string): Promise<void> {
  await report.check("its history says where it runs", async () => {
    const printed = await world.goldseal("history", `${REPOSITORY}:1`);
    if (!printed.includes(`runs in prod as ${NAME}`)) throw new Error(printed);
  });
  for (const reference of [digest, "1"])
    await report.check(
      `it is not deleted by ${reference === "1" ? "its last tag" : "its digest"}: 409 names the service`,
      async () => {
        const path = `/v2/${REPOSITORY}/manifests/${reference}`;
        const answer = await world.api("DELETE", path).catch((error: unknown) => String(error));
        if (!answer.includes(`runs as prod/${NAME}`)) throw new Error(answer);
      },
    );
  await report.check("nor is its repository", async () => {
    const answer = await world.goldseal("repository", "delete", REPOSITORY, "--yes", "--drop-trust").catch(String);
    if (!answer.includes(`runs as prod/${NAME}`)) throw new Error(answer);
  });
}

/** The registry is away when the secret has to be renewed. */
async function checkAlarm(world: World, report: Report): Promise<void> {
  await report.check("a renewal that fails is an alarm, and is tried again until it is done", async () => {
    const count = renewals(world).length;
    await world.stopBridge();
    makeDue(world);
    await world.stopRegistry();
    await world.bridge.start(JSON.parse(readFileSync(join(world.folder, "bridge.yaml"), "utf8")));
    const alarm = `prod/${NAME}: the secret that nodes pull with is not renewed`;
    await until("/readyz says so", async () => (await world.bridgeGet("/readyz")).text.includes(alarm));
    const { text } = await world.bridgeGet("/metrics");
    if (!/^goldseal_bridge_pull_secrets\{state="failing"\} 1$/m.test(text)) throw new Error(text);
    // Lines are written together, a moment later.
    await until("its log says so", () => world.bridge.output.includes("bridge.pull-secret"));
    await world.startRegistry();
    await until("it is renewed", () => renewals(world).length > count);
    await until("/readyz says nothing of it", async () => !(await world.bridgeGet("/readyz")).text.includes(alarm));
  });
}

/** Half of the secret's life is over: the bridge finds so when it starts. */
async function restartWhenDue(world: World): Promise<void> {
  await world.stopBridge();
  makeDue(world);
  await world.startBridge();
}

function makeDue(world: World): void {
  for (const name of readdirSync(folderOf(world))) {
    const state = readState(world, name);
    if (state.service !== NAME) continue;
    const renewAt = new Date(Date.now() - 1000).toISOString();
    writeFileSync(join(folderOf(world), name), JSON.stringify({ ...state, renewAt }));
  }
}

const folderOf = (world: World): string => join(world.bridgeStore, "credentials");

function readState(world: World, name: string): { readonly service: string } {
  return JSON.parse(readFileSync(join(folderOf(world), name), "utf8"));
}

const renewals = (world: World) =>
  journal(world).filter(({ event, service }) => event === "pull-secret-renewed" && service === NAME);

const imagesOf = async (world: World): Promise<string[]> => (await running(world, NAME)).map(({ image }) => image);

/** What must not change: tasks and containers by their ids, and what the service says of them. */
async function snapshot(world: World): Promise<unknown> {
  const { Spec } = (await inspectService(world, NAME)) as { readonly Spec: { readonly TaskTemplate: object } };
  const path = `/tasks?filters=${filters({ service: [NAME] })}`;
  const tasks = await listOf(world.lab.node("m1").socketPath, path);
  const containers = await running(world, NAME);
  return {
    template: Spec.TaskTemplate,
    tasks: tasks.map(({ ID }) => ID).sort(),
    containers: containers.map(({ id }) => id).sort(),
  };
}
