import type { AppDependencies, AppSettings } from "./app.ts";
import type { Config } from "./config.ts";
import { describeError, type Log } from "./http/log.ts";
import { Metrics } from "./http/metrics.ts";
import { type KeyRing, parseKeyRing } from "./keys/key-ring.ts";
import { checkKeyRing } from "./keys/key-ring-store.ts";
import type { SeeBytes } from "./storage/blob-rows.ts";
import { Database } from "./storage/database.ts";
import { type Failpoint, failpointAt, noFailpoint } from "./storage/failpoint.ts";
import { type Blobs, openBlobs } from "./storage/open-blobs.ts";

/** What every room stands on: rows, bytes, keys, the clock and the log of one process. */
export interface Ground extends Blobs {
  readonly database: Database;
  readonly ring: KeyRing;
  readonly seeBytes: SeeBytes;
  readonly metrics: Metrics;
  readonly failpoint: Failpoint;
  readonly log: Log;
  readonly now: () => Date;
}

/** Whoever pushes waits for a row that a collection holds, but not for long. */
const lockMs = 5_000;
/** Of one worker. */
const connections = 10;
/**
 * Objects in a bucket are found by rows, and are looked for inside of transactions: by connections of their own, or
 * transactions that hold all the others would wait for each other.
 */
const objectConnections = 4;

/** @throws Error where this key ring is not the one that sealed the database's rows */
export async function openGround(
  settings: AppSettings,
  { log, now = () => new Date() }: AppDependencies,
): Promise<Ground> {
  const onIdleError = (error: Error): void => log.warn("database.connection", describeError(error));
  const openDatabase = (maxConnections: number): Database =>
    new Database({ lockMs, maxConnections, url: settings.databaseUrl, onIdleError });
  const database = openDatabase(connections);
  const ring = parseKeyRing(settings.masterKeys);
  await checkKeyRing(database, ring);

  const failpoint = openFailpoint(settings.config);
  const opened = await openBlobs(settings.config.blobs, {
    openDatabase: () => openDatabase(objectConnections),
    ...{ s3Checksums: settings.s3Checksums ?? true, failpoint, now },
  });
  const seeBytes: SeeBytes = async (digest, size) => (await opened.blobs.findSize(digest)) === size;
  return { ...opened, database, ring, seeBytes, metrics: new Metrics(() => database.pool), failpoint, log, now };
}

function openFailpoint({ failpoint }: Config): Failpoint {
  if (failpoint === undefined) return noFailpoint;
  return failpointAt(failpoint, () => process.kill(process.pid, "SIGKILL"));
}
