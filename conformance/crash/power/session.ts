/** Writers at work on a server whose changes to the disk are recorded, and moments at which its power may fail. */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type RunningServer, startServer } from "../../harness/server.ts";
import { Client } from "../client.ts";
import { Collecting } from "../collecting.ts";
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
  /** Cuts after these alone; default: after any operation, and in between. */
  readonly after: readonly string[] | undefined;
  /** Gets every one that is acknowledged. */
  readonly operations: Set<string>;
}

const MAX_MS = 20_000;
/** From the first moment to the last, where writers are quick enough. */
const SESSION_MS = 6_000;
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
  const spacingMs = SESSION_MS / options.moments;
  let due = performance.now();
  history.onAcknowledged = (op) => {
    options.operations.add(op);
    if (options.after?.includes(op) === false) return;
    const count = options.counts.get(op) ?? 0;
    // Those that are rare are worth it more.
    if (
      moments.length >= options.moments ||
      performance.now() < due ||
      !random.chance(options.after ? 1 : 1 / (1 + count) ** 3)
    )
      return;
    due += random.between(0, 2 * spacingMs);
    options.counts.set(op, count + 1);
    take(op);
  };
  const stop = new AbortController();
  const collecting = history.isCollected ? [new Collecting().work(client, stop.signal)] : [];
  const writing = options.writers.map((writer) => writer.work(client, [], stop.signal));
  const working = Promise.all([...writing, ...collecting]);
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

/** PostgreSQL writes its own files only in a checkpoint; a collector that lost its connection puts back what it took. */
const STATEMENTS = [
  "checkpoint",
  "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'",
  ...["", "", "", ""],
];

/** Until there are enough of them. */
async function takeAtRandom(
  options: SessionOptions,
  moments: readonly Moment[],
  take: (after: undefined) => void,
  server: RunningServer,
): Promise<void> {
  const until = performance.now() + MAX_MS;
  for (let left = options.moments * RANDOM_SHARE; performance.now() < until; ) {
    await wait(options.random.between(0, (2 * SESSION_MS) / (options.moments * RANDOM_SHARE)));
    if (moments.length >= options.moments) return;
    const statement = options.random.pick(STATEMENTS);
    if (statement) void query(embeddedDatabase(server.data), statement).catch(() => undefined);
    if (options.after === undefined && left-- > 0) take(undefined);
  }
}
