/** Looks into the bucket beside the server: rows against objects, by a listing, which the product itself never trusts. */
import { setTimeout as wait } from "node:timers/promises";
import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import type { ClientConfig } from "pg";
import type { S3Server } from "../harness/s3-servers.ts";
import { query } from "./database.ts";
import { type StoreCounts, words } from "./store-check.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

const KEY = /\/([0-9a-f]{32})$/;
/** Only a failure waits so long. */
const SWEEP_MS = 60_000;

interface ObjectRow {
  readonly key: string;
  readonly state: "writing" | "piece" | "blob" | "doomed";
  readonly size: string | null;
  readonly digest: string | null;
}

/**
 * Every object that a blob or an upload promises is there and as large as its row says; none is without a row.
 * @throws Violation TORN
 */
export async function checkBucket(database: ClientConfig, s3: S3Server): Promise<StoreCounts> {
  const rows = await readRows(database);
  const objects = await listObjects(s3);
  const wrong = rows.filter(
    ({ key, state, size }) => (state === "blob" || state === "piece") && objects.get(key) !== Number(size),
  );
  // Who doomed them says first that they may be gone.
  if (wrong.length > 0) throw new Violation("TORN", `rows without their objects: ${words(wrong)}`);
  const known = new Set(rows.map(({ key }) => key));
  const foreign = [...objects.keys()].filter((key) => !known.has(key));
  if (foreign.length > 0) throw new Violation("TORN", `objects without a row: ${words(foreign)}`);
  const stored = new Set(rows.flatMap(({ state, digest }) => (state === "blob" ? [digest] : [])));
  const blobs = await query<{ digest: string }>(database, "select digest from blobs where unreferenced_at is null");
  const missing = blobs.filter(({ digest }) => !stored.has(digest));
  if (missing.length > 0) throw new Violation("TORN", `blobs without objects: ${words(missing)}`);
  await checkSessions(database, rows);
  return { blobs: blobs.length, orphans: rows.length - [...(await findInUse(database, rows))].length };
}

async function checkSessions(database: ClientConfig, rows: readonly ObjectRow[]): Promise<void> {
  const sizes = new Map(rows.map(({ key, state, size }) => [key, state === "doomed" ? Number.NaN : Number(size)]));
  const sessions = await query<{ id: string; size: string; segments: string[] }>(
    database,
    "select id, size, segments from upload_sessions",
  );
  const torn = sessions.filter(
    ({ size, segments }) => segments.reduce((sum, key) => sum + (sizes.get(key) ?? Number.NaN), 0) !== Number(size),
  );
  if (torn.length > 0) throw new Violation("TORN", `uploads without their pieces: ${words(torn)}`);
}

/** Those of blobs, and of uploads that are open. */
async function findInUse(database: ClientConfig, rows: readonly ObjectRow[]): Promise<Set<string>> {
  const pieces = await query<{ key: string }>(database, "select unnest(segments) as key from upload_sessions");
  const blobs = rows.filter(({ state }) => state === "blob");
  return new Set([...pieces, ...blobs].map(({ key }) => key));
}

/**
 * What crashes left over is a month older than it was: a start sweeps it, and then the bucket has nothing but blobs and the
 * pieces of uploads that are open, and no multipart upload is under way. @throws Violation RECOVERY
 */
export async function checkBucketSweep(world: World, s3: S3Server): Promise<void> {
  const older = "update s3_objects set touched_at = touched_at - interval '30 days' where state <> 'blob'";
  await query(world.database, older);
  const before = await readRows(world.database);
  await world.stop();
  await world.start(undefined);
  for (const until = performance.now() + SWEEP_MS; ; await wait(100)) {
    const rows = await readRows(world.database);
    const inUse = await findInUse(world.database, rows);
    const left = rows.filter(({ key }) => !inUse.has(key));
    const objects = [...(await listObjects(s3)).keys()].filter((key) => !inUse.has(key));
    const uploads = await listUploads(s3, before);
    if (left.length + objects.length + uploads.length === 0) return;
    if (performance.now() > until) {
      throw new Violation(
        "RECOVERY",
        `not swept: rows ${words(left)}, objects ${words(objects)}, parts ${words(uploads)}`,
      );
    }
  }
}

function readRows(database: ClientConfig): Promise<ObjectRow[]> {
  return query<ObjectRow & Record<string, unknown>>(database, "select key, state, size, digest from s3_objects");
}

/** Bytes of each object that the product made, by the digits that its name ends with. */
async function listObjects(s3: S3Server): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  const client = openClient(s3);
  try {
    for (let token: string | undefined; ; ) {
      const page = await client.send(
        new ListObjectsV2Command({ Bucket: s3.bucket, ...(token && { ContinuationToken: token }) }),
      );
      for (const { Key = "", Size = 0 } of page.Contents ?? []) {
        const key = KEY.exec(Key)?.[1];
        if (key !== undefined) sizes.set(key, Size);
      }
      token = page.NextContinuationToken;
      if (token === undefined) return sizes;
    }
  } finally {
    client.destroy();
  }
}

/** MinIO lists them only under the exact name of an object. */
async function listUploads(s3: S3Server, rows: readonly ObjectRow[]): Promise<string[]> {
  const client = openClient(s3);
  const found: string[] = [];
  try {
    for (const { key } of rows.filter(({ state }) => state === "writing" || state === "doomed")) {
      const Prefix = `blobs/${key.slice(0, 2)}/${key}`;
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: s3.bucket, Prefix }));
      if (Uploads.length > 0) found.push(key);
    }
    return found;
  } finally {
    client.destroy();
  }
}

function openClient({ endpoint, env }: S3Server): S3Client {
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "", AWS_REGION = "" } = env;
  const credentials = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY };
  return new S3Client({ endpoint, credentials, region: AWS_REGION, forcePathStyle: true });
}
