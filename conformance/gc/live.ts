/**
 * A whole server with a collector that never rests: no grace, a run every 50 ms, eight pushers that share layers, and
 * crane and skopeo pulling what is tagged. Then a server is killed at each step of a collection, and the next run must
 * finish its work.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { RegistryClient, sha256 } from "../harness/registry-client.ts";
import { type RunningServer, startServer } from "../harness/server.ts";
import { LivePusher, type Tagged } from "./live-pusher.ts";
import { openPullers } from "./pullers.ts";

const PUSHERS = 8;
const SHARED_LAYERS = 3;
const LAYER_BYTES = 300_000;
const PAUSE_MS = 50;
const STEPS = ["gc.afterPick", "gc.afterRecheck", "gc.afterObject", "gc.afterRow", "gc.beforeCommit"];

const ENV = {
  GOLDSEAL_GC_GRACE_HOURS: "0",
  GOLDSEAL_GC_UNTAGGED_HOURS: "0",
  GOLDSEAL_GC_EVERY_MINUTES: "off",
  GOLDSEAL_LOG_LEVEL: "error",
};

interface Collected {
  runs: number;
  deleted: number;
  failed: number;
}

/** Answers the exit status. */
export async function runLive(seconds: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-live-"));
  const server = await startServer({ workers: 2, env: ENV, keepData: true });
  const layers = Array.from({ length: SHARED_LAYERS }, (_, index) => Buffer.alloc(LAYER_BYTES, `layer ${index} `));
  const pushers = Array.from({ length: PUSHERS }, (_, index) => new LivePusher(server, `admin/live-${index}`, layers));
  let isOver = false;
  const until = { isOver: () => isOver };
  const pullers = await openPullers(server, folder);
  const collected: Collected = { runs: 0, deleted: 0, failed: 0 };
  try {
    const work = [...pushers.map((pusher) => pusher.run(until)), collectAlways(server, until, collected)];
    const pulling = pullers.map((puller) => puller.run(until, pushers));
    await Promise.race([wait(seconds * 1000), ...work, ...pulling]);
    isOver = true;
    await Promise.all([...work, ...pulling]);
    const kept = pushers.flatMap((pusher) => pusher.tagged);
    await pullAll(server, kept);
    const pushes = pushers.reduce((sum, { pushes }) => sum + pushes, 0);
    const again = pushers.reduce((sum, pusher) => sum + pusher.again, 0);
    const pulls = pullers.map(({ name, pulls }) => `${name} ${pulls}`).join(", ");
    const own = pushers.reduce((sum, pusher) => sum + pusher.pulls, 0);
    console.log(
      `live: ${pushes} pushes (${again} manifests refused and pushed again), pulls: HTTP ${own}, ${pulls}; ` +
        `${collected.runs} collections, ${collected.deleted} deleted, ${collected.failed} failed; 0 broken pulls`,
    );
    await server.stop();
    for (const step of STEPS) await killAt(server.data, step, kept);
    console.log(`${1 + STEPS.length} passed, 0 failed, 0 skipped`);
    return 0;
  } catch (error) {
    isOver = true;
    console.log(`BROKEN ${error instanceof Error ? error.stack : error}\n${server.output().slice(-2000)}`);
    console.log("0 passed, 1 failed, 0 skipped");
    return 1;
  } finally {
    for (const pusher of pushers) pusher.close();
    await server.kill();
    for (const path of [folder, server.data]) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function collectAlways(server: RunningServer, { isOver }: { isOver(): boolean }, into: Collected): Promise<void> {
  const client = new RegistryClient(server, server.admin);
  while (!isOver()) {
    const run = await collect(client);
    into.runs++;
    into.deleted += run.deleted;
    if (run.state !== "done") {
      into.failed++;
      throw new Error(`a collection is ${run.state}: ${run.reason}`);
    }
    await wait(PAUSE_MS);
  }
  client.close();
}

interface Run {
  readonly id: number;
  readonly state: string;
  readonly reason?: string;
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
async function killAt(data: string, step: string, kept: readonly Tagged[]): Promise<void> {
  const dying = await startServer({ data, workers: 1, env: { ...ENV, GOLDSEAL_FAILPOINT: `${step}:1` } });
  const client = new RegistryClient(dying, dying.admin);
  const content = Buffer.from(`garbage for ${step}`);
  const upload = { method: "POST", body: content };
  const put = await client.ask(`/v2/admin/garbage/blobs/uploads/?digest=${sha256(content)}`, upload);
  const removed = await client.ask(`/v2/admin/garbage/blobs/${sha256(content)}`, { method: "DELETE" });
  if (put.status !== 201 || removed.status !== 202) throw new Error(`garbage: ${put.status}, ${removed.status}`);
  await collect(client).catch(() => undefined);
  client.close();
  if (!dying.output().includes(`failpoint ${step}`)) throw new Error(`${step} was not reached:\n${dying.output()}`);
  await dying.kill();

  const server = await startServer({ data, workers: 1, env: ENV });
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
