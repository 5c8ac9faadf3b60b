/**
 * A whole server with a collector that never rests: no grace, a run every 50 ms, eight pushers that share layers, and
 * real clients pulling what is tagged. Then a server is killed at each step of a collection, and the next run must finish
 * its work. On S3 the bucket's answers to deletions are lost or wrong now and then, and objects are old after seconds.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { RegistryClient, sha256 } from "../harness/registry-client.ts";
import type { S3Kind } from "../harness/s3-servers.ts";
import { freshFolder, type RunningServer, startServer } from "../harness/server.ts";
import { mustRun } from "../harness/tools.ts";
import { openLiveBucket } from "./live-bucket.ts";
import { LivePusher, type Tagged } from "./live-pusher.ts";
import { openPullers, type Puller } from "./pullers.ts";

const PUSHERS = 8;
const SHARED_LAYERS = 3;
const LAYER_BYTES = 300_000;
const EVERY_MS = 50;
/** The list of the latest runs is read so often that none is left out. */
const GATHER_MS = 200;
const STEPS = ["gc.afterPick", "gc.afterRecheck", "gc.afterObject", "gc.afterRow", "gc.beforeCommit"];
/** Where an object of the bucket is gone and its row is not. */
const S3_STEPS = [...STEPS, "del.afterUnlink"];

const ENV = {
  GOLDSEAL_GC_GRACE_HOURS: "0",
  GOLDSEAL_GC_UNTAGGED_HOURS: "0",
  GOLDSEAL_GC_EVERY_MINUTES: "off",
  GOLDSEAL_LOG_LEVEL: "error",
};

interface Collected {
  runs: number;
  deleted: number;
  /** From the first run's beginning to the last one's end. */
  ms: number;
  /** Of each run, by the server's clock. */
  readonly took: number[];
}

/** Answers the exit status. `s3`: on which server; undefined: on files. */
export async function runLive(seconds: number, s3: S3Kind | undefined): Promise<number> {
  await using undo = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "goldseal-live-"));
  const data = freshFolder();
  undo.defer(() => {
    for (const path of [folder, data]) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  });
  const bucket = s3 === undefined ? undefined : await openLiveBucket(s3);
  if (bucket !== undefined) undo.defer(() => bucket.close());
  const env = { ...ENV, ...bucket?.env };
  const server = await startServer({ workers: 2, data, env });
  undo.defer(() => server.kill());
  if (bucket !== undefined) undo.defer(bucket.misbehave(data));
  try {
    const kept = await pushAndPull(server, { seconds, folder });
    await server.stop();
    const steps = bucket === undefined ? STEPS : S3_STEPS;
    bucket?.behave();
    for (const step of steps) await killAt({ data, env }, step, { kept, grow: () => bucket?.grow(data, 0) });
    console.log(`${1 + steps.length} passed, 0 failed, 0 skipped`);
    return 0;
  } catch (error) {
    console.log(`BROKEN ${error instanceof Error ? error.stack : error}\n${server.output().slice(-2000)}`);
    console.log("0 passed, 1 failed, 0 skipped");
    return 1;
  }
}

/** All that is tagged at the end, pulled once more. */
async function pushAndPull(server: RunningServer, { seconds, folder }: { seconds: number; folder: string }) {
  const layers = await makeLayers(folder);
  const pushers = Array.from({ length: PUSHERS }, (_, index) => new LivePusher(server, `admin/live-${index}`, layers));
  const { pullers, close } = await openPullers(server, folder);
  const collected: Collected = { runs: 0, deleted: 0, ms: 0, took: [] };
  let isOver = false;
  const until = { isOver: () => isOver };
  try {
    const work = [...pushers.map((pusher) => pusher.run(until)), collectAlways(server, until, collected)];
    const pulling = pullers.map((puller) => puller.run(until, pushers));
    await Promise.race([wait(seconds * 1000), ...work, ...pulling]);
    isOver = true;
    await Promise.all([...work, ...pulling]);
    const kept = pushers.flatMap((pusher) => pusher.tagged);
    await pullAll(server, kept);
    printFigures(pushers, pullers, collected);
    return kept;
  } finally {
    isOver = true;
    for (const pusher of pushers) pusher.close();
    await close();
  }
}

function printFigures(
  pushers: readonly LivePusher[],
  pullers: readonly Puller[],
  { runs, deleted, ms, took }: Collected,
): void {
  const sum = (key: "pushes" | "again" | "pulls"): number => pushers.reduce((total, pusher) => total + pusher[key], 0);
  const clients = pullers.map(({ name, pulls }) => `${name} ${pulls}`).join(", ");
  console.log(
    `live: ${sum("pushes")} pushes (${sum("again")} manifests refused and pushed again), pulls: HTTP ${sum("pulls")}, ` +
      `${clients}; ${runs} collections, one every ${(ms / runs).toFixed(0)} ms, which took ${quantile(took, 0.5)} ms ` +
      `(p90 ${quantile(took, 0.9)}), ${deleted} deleted; 0 broken pulls`,
  );
}

const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * share)] ?? Number.NaN;

/** Layers as engines unpack them: a tar of one file each. */
async function makeLayers(folder: string): Promise<Buffer[]> {
  const layers: Buffer[] = [];
  for (let index = 0; index < SHARED_LAYERS; index++) {
    writeFileSync(join(folder, `file-${index}`), Buffer.alloc(LAYER_BYTES, `layer ${index} `));
    await mustRun("tar", ["-C", folder, "-cf", join(folder, `layer-${index}.tar`), `file-${index}`]);
    layers.push(readFileSync(join(folder, `layer-${index}.tar`)));
  }
  return layers;
}

/** Asks for a run every 50 ms; where one is under way still, the answer is 409. */
async function collectAlways(server: RunningServer, { isOver }: { isOver(): boolean }, into: Collected): Promise<void> {
  const client = new RegistryClient(server, server.admin);
  const runs = new Map<number, Run>();
  const failures: unknown[] = [];
  let asked: Promise<void>[] = [];
  const first = performance.now();
  const timer = setInterval(() => asked.push(begin(client).catch((error) => void failures.push(error))), EVERY_MS);
  while (!isOver() && failures.length === 0) {
    await wait(GATHER_MS);
    for (const run of await list(client)) runs.set(run.id, run);
  }
  into.ms = performance.now() - first;
  clearInterval(timer);
  for (; asked.length > 0; asked = []) await Promise.all(asked);
  do for (const run of await list(client)) runs.set(run.id, run);
  while ([...runs.values()].some(({ state }) => state === "running"));
  client.close();
  const broken = [...runs.values()].find(({ state }) => state !== "done");
  if (broken !== undefined) failures.push(new Error(`a collection is ${broken.state}: ${broken.reason}`));
  if (failures.length > 0) throw failures[0];
  into.runs = runs.size;
  for (const { deleted, startedAt, endedAt = "" } of runs.values()) {
    into.deleted += deleted;
    into.took.push(Date.parse(endedAt) - Date.parse(startedAt));
  }
}

async function begin(client: RegistryClient): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await client.ask("/api/v1/gc", { method: "POST", headers, body: Buffer.from("{}") });
  if (answer.status !== 202 && answer.status !== 409)
    throw new Error(`POST /api/v1/gc: ${answer.status} ${answer.body}`);
}

/** The latest. */
async function list(client: RegistryClient): Promise<readonly Run[]> {
  return (JSON.parse(String((await client.ask("/api/v1/gc")).body)) as { runs: Run[] }).runs;
}

interface Run {
  readonly id: number;
  readonly state: string;
  readonly reason?: string;
  readonly startedAt: string;
  readonly endedAt?: string;
  readonly deleted: number;
}

async function collect(client: RegistryClient, body: object = {}): Promise<Run> {
  const asked = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: Buffer.from(JSON.stringify(body)),
  };
  const answer = await client.ask("/api/v1/gc", asked);
  if (answer.status !== 202) throw new Error(`POST /api/v1/gc: ${answer.status} ${answer.body}`);
  let run: Run = JSON.parse(String(answer.body));
  while (run.state === "running") {
    await wait(5);
    run = JSON.parse(String((await client.ask(`/api/v1/gc/${run.id}`)).body));
  }
  return run;
}

/** A blob to collect, a server that dies while it collects it, and one that finds it half done. */
async function killAt(
  { data, env }: { data: string; env: Record<string, string> },
  step: string,
  { kept, grow }: { kept: readonly Tagged[]; grow: () => Promise<void> | undefined },
): Promise<void> {
  const dying = await startServer({ data, workers: 1, env: { ...env, GOLDSEAL_FAILPOINT: `${step}:1` } });
  const client = new RegistryClient(dying, dying.admin);
  const content = Buffer.from(`garbage for ${step}`);
  const upload = { method: "POST", body: content };
  const put = await client.ask(`/v2/admin/garbage/blobs/uploads/?digest=${sha256(content)}`, upload);
  const removed = await client.ask(`/v2/admin/garbage/blobs/${sha256(content)}`, { method: "DELETE" });
  if (put.status !== 201 || removed.status !== 202) throw new Error(`garbage: ${put.status}, ${removed.status}`);
  await grow();
  await collect(client).catch(() => undefined);
  client.close();
  if (!dying.output().includes(`failpoint ${step}`)) throw new Error(`${step} was not reached:\n${dying.output()}`);
  await dying.kill();

  const server = await startServer({ data, workers: 1, env });
  const again = new RegistryClient(server, server.admin);
  const first = await collect(again);
  const left = await collect(again, { dryRun: true });
  if (first.state !== "done" || left.deleted !== 0) throw new Error(`after ${step}: ${JSON.stringify([first, left])}`);
  const whole = await again.ask(`/v2/admin/garbage/blobs/uploads/?digest=${sha256(content)}`, upload);
  const got = await again.ask(`/v2/admin/garbage/blobs/${sha256(content)}`);
  if (whole.status !== 201 || !got.body.equals(content))
    throw new Error(`after ${step}: ${whole.status} ${got.status}`);
  again.close();
  await pullAll(server, kept);
  await server.stop();
  console.log(`killed at ${step}, run again: nothing left over, ${kept.length} images whole`);
}

async function pullAll(server: RunningServer, kept: readonly Tagged[]): Promise<void> {
  const client = new RegistryClient(server, server.admin);
  for (const tagged of kept) await tagged.pull(client);
  client.close();
}
