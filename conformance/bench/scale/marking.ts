/** The collector at work while images are pushed. */
import { setTimeout as wait } from "node:timers/promises";
import { basic, Client } from "../client.ts";
import { percentile } from "../measure.ts";
import { processesOf, residentOf } from "../processes.ts";
import type { Server } from "../servers.ts";
import { type Push, pushesDuring } from "./pushes.ts";

const POLL_MS = 50;
const SAMPLE_MS = 200;

export interface Latencies {
  readonly pushes: number;
  readonly p50: number;
  readonly p99: number;
}

export interface Collection {
  /** Rows that nothing keeps, seen for the first time. */
  readonly marked: number;
  readonly deleted: number;
  /** Seconds from the start to the end of each stage, in order. */
  readonly stages: Readonly<Record<string, number>>;
  readonly duringMarking: Latencies;
  readonly duringAll: Latencies;
  /** Resident MiB of the largest serving process, just before, and the highest meanwhile. */
  readonly memory: { readonly before: number; readonly highest: number };
}

/** Pushes with no collection beside them. */
export async function pushAtIdle(server: Server, seconds: number): Promise<Latencies> {
  return latenciesOf(await pushesDuring(server, () => wait(seconds * 1000)));
}

interface Run {
  readonly id: number;
  readonly state: string;
  readonly stage: string;
  readonly marked: number;
  readonly deleted: number;
}

/** One collection from its start to its end, with pushes all the time. */
export async function pushWhileCollecting(server: Server): Promise<Collection> {
  // The pushers are in this process: what looks at memory must not keep them waiting.
  const workers = processesOf(server.pid, server.kind).filter(({ role }) => role === "worker");
  const largest = (): number => Math.max(0, ...workers.map(({ pid }) => residentOf(pid)));
  const memory = { before: largest(), highest: 0 };
  const sampler = setInterval(() => {
    memory.highest = Math.max(memory.highest, largest());
  }, SAMPLE_MS);
  const ends: Record<string, number> = {};
  let started = 0;
  let run: Run | undefined;
  const pushes = await pushesDuring(server, async () => {
    started = performance.now();
    run = await collect(server, (stage) => {
      ends[stage] = performance.now();
    });
  }).finally(() => clearInterval(sampler));
  if (run?.state !== "done") throw new Error(`the collection is ${JSON.stringify(run)}`);
  const marked = pushes.filter(({ at }) => at < (ends.marking ?? 0));
  return {
    marked: run.marked,
    deleted: run.deleted,
    stages: toSeconds(started, ends),
    duringMarking: latenciesOf(marked),
    duringAll: latenciesOf(pushes),
    memory,
  };
}

/** Told the stage that the run is in each time it is looked at. */
async function collect(server: Server, seen: (stage: string) => void): Promise<Run> {
  const client = new Client(server);
  const headers = { authorization: basic };
  const begun = await client.ask("/api/v1/gc", { method: "POST", headers, body: Buffer.from("{}"), expect: 202 });
  let run: Run = JSON.parse(begun.body.toString());
  while (run.state === "running") {
    await wait(POLL_MS);
    const { body } = await client.ask(`/api/v1/gc/${run.id}`, { headers, expect: 200 });
    run = JSON.parse(body.toString());
    seen(run.stage);
  }
  client.close();
  return run;
}

function toSeconds(started: number, ends: Readonly<Record<string, number>>): Record<string, number> {
  let before = started;
  return Object.fromEntries(
    Object.entries(ends).map(([stage, end]) => {
      const seconds = (end - before) / 1000;
      before = end;
      return [stage, seconds];
    }),
  );
}

function latenciesOf(pushes: readonly Push[]): Latencies {
  const times = pushes.map(({ ms }) => ms);
  return { pushes: times.length, p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
}
