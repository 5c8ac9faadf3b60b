/** Looks into the store beside the server: every row that promises bytes has them. Files without a row are allowed. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ClientConfig } from "pg";
import { query } from "./database.ts";
import { Violation } from "./violation.ts";

export interface StoreCounts {
  readonly blobs: number;
  /** What no row leads to, as a crash may leave it. */
  readonly orphans: number;
}

/**
 * `root` is the blob store's folder. A candidate of the collector may have lost its bytes; the mark says so.
 * @throws Violation TORN for another row without its bytes
 */
export async function checkStore(database: ClientConfig, root: string): Promise<StoreCounts> {
  const blobs = await query<{ digest: string; size: string }>(
    database,
    "select digest, size from blobs where unreferenced_at is null",
  );
  const wrong = blobs.filter(({ digest, size }) => sizeOf(blobPath(root, digest)) !== Number(size));
  if (wrong.length > 0) throw new Violation("TORN", `rows without their bytes: ${words(wrong)}`);
  const sessions = await query<{ id: string; size: string; segments: string[] }>(
    database,
    "select id, size, segments from upload_sessions",
  );
  const torn = sessions.filter(
    ({ size, segments }) => segments.reduce((sum, name) => sum + sizeOf(segmentPath(root, name)), 0) !== Number(size),
  );
  if (torn.length > 0) throw new Violation("TORN", `uploads without their pieces: ${words(torn)}`);
  const inUse = new Set(sessions.flatMap(({ segments }) => segments));
  const orphans = readdirSync(join(root, "uploads")).filter((name) => !inUse.has(name)).length;
  return { blobs: blobs.length, orphans };
}

function blobPath(root: string, digest: string): string {
  const [algorithm = "", hex = ""] = digest.split(":");
  return join(root, "blobs", algorithm, hex.slice(0, 2), hex);
}

const segmentPath = (root: string, name: string): string => join(root, "uploads", name);
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? Number.NaN;
export const words = (rows: readonly unknown[]): string => JSON.stringify(rows.slice(0, 5));
