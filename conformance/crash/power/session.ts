/** Writers at work on a server whose changes to the disk are recorded, and moments at which its power may fail. */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type RunningServer, startServer } from "../../harness/server.ts";
import { Client } from "../client.ts";
import { embeddedDatabase, query } from "../database.ts";
import type { History } from "../history.ts";
import { quitPostgres } from "../processes.ts";
import type { Random } from "../random.ts";
import { SERVER_ENV } from "../world.ts";
import type { Writer } from "../writer.ts";
import type { Disk } from "./disk.ts";
import { Recording } from "./recorder.ts";

/** All that was done before `position` of the log may be on the disk; what `history` knows as acknowledged must be. */
export interface Moment {
  readonly position: number;
  readonly history: History;
  /** The operation that was just answered; undefined: in between. */
  readonly after: string | undefined;
}

export interface Recorded {
  /** As it was at the beginning. */
  readonly disk: Disk;
  readonly log: Buffer;
  readonly moments: readonly Moment[];
}

export interface SessionOptions {
  readonly library: string;
  /** Where `data` is: a data folder of a server that was stopped. It is killed at the end. */
  readonly folder: string;
  readonly data: string;
  readonly history: History;
  readonly writers: readonly Writer[];
  readonly random: Random;
  readonly moments: number;
  /** How often each operation was followed by a cut so far. */
  readonly counts: Map<string, number>;
}

const MAX_MS = 15_000;
const SPACING_MS = 250;
/** Of the moments, in between. */
const RANDOM_SHARE = 0.3;

export async function recordSession(options: SessionOptions): Promise<Omit<Recorded, "disk">> {
  const { data, folder, history, random } = options;
  const recording = new Recording(options.library, join(folder, "record.log"), data);
  const server = await startServer({ data, workers: 1, env: { ...SERVER_ENV, ...recording.env } });
  const client = new Client([server]);
  const moments: Moment[] = [];
  const take = (after: string | undefined): void => {
    moments.push({ position: recording.position, history: history.fork(), after });
  };
  let due = performance.now();
  history.onAcknowledged = (op) => {
    const count = options.counts.get(op) ?? 0;
    // Those that are rare are worth it more.
    if (moments.length >= options.moments || performance.now() < due || !random.chance(1 / (1 + count))) return;
    due += random.between(0, 2 * SPACING_MS);
    options.counts.set(op, count + 1);
    take(op);
  };
  const stop = new AbortController();
  const working = Promise.all(options.writers.map((writer) => writer.work(client, [], stop.signal)));
  try {
    await Promise.race([working, takeAtRandom(options, moments, take, server)]);
  } finally {
    history.onAcknowledged = () => undefined;
    await server.kill();
    await quitPostgres(data);
    stop.abort();
    await working.finally(() => client.close());
  }
  return { log: recording.read(), moments };
}

/** Until there are enough of them. PostgreSQL writes its own files only in a checkpoint: there is one now and then. */
async function takeAtRandom(
  options: SessionOptions,
  moments: readonly Moment[],
  take: (after: undefined) => void,
  server: RunningServer,
): Promise<void> {
  const until = performance.now() + MAX_MS;
  for (let left = options.moments * RANDOM_SHARE; performance.now() < until; ) {
    await wait(options.random.between(SPACING_MS, 5 * SPACING_MS));
    if (moments.length >= options.moments) return;
    if (options.random.chance(0.1)) void query(embeddedDatabase(server.data), "checkpoint").catch(() => undefined);
    if (left-- > 0) take(undefined);
  }
}
