/** Looks into the store beside the server: every row that promises bytes has them. Files without a row are allowed. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { findSocketFolder } from "./processes.ts";
import { Violation } from "./violation.ts";

export interface StoreCounts {
  readonly blobs: number;
  /** Pieces of uploads that no row leads to: what a crash may leave. */
  readonly orphans: number;
}

/** @throws Violation TORN for a row without its bytes */
export async function checkStore(data: string): Promise<StoreCounts> {
  const client = new Client({
    host: findSocketFolder(data),
    user: "goldseal",
    database: "goldseal",
    password: readFileSync(join(data, "postgres.password"), "utf8").trim(),
    options: "-c default_transaction_read_only=on",
  });
  await client.connect();
  try {
    const blobs = await client.query<{ digest: string; size: string }>("select digest, size from blobs");
    const wrong = blobs.rows.filter(({ digest, size }) => sizeOf(blobPath(data, digest)) !== Number(size));
    if (wrong.length > 0) throw new Violation("TORN", `rows without their bytes: ${words(wrong)}`);
    const sessions = await client.query<{ id: string; size: string; segments: string[] }>(
      "select id, size, segments from upload_sessions",
    );
    const torn = sessions.rows.filter(
      ({ size, segments }) => segments.reduce((sum, name) => sum + sizeOf(segmentPath(data, name)), 0) !== Number(size),
    );
    if (torn.length > 0) throw new Violation("TORN", `uploads without their pieces: ${words(torn)}`);
    const inUse = new Set(sessions.rows.flatMap(({ segments }) => segments));
    const orphans = readdirSync(join(data, "blobs", "uploads")).filter((name) => !inUse.has(name)).length;
    return { blobs: blobs.rows.length, orphans };
  } finally {
    await client.end();
  }
}

function blobPath(data: string, digest: string): string {
  const [algorithm = "", hex = ""] = digest.split(":");
  return join(data, "blobs", "blobs", algorithm, hex.slice(0, 2), hex);
}

const segmentPath = (data: string, name: string): string => join(data, "blobs", "uploads", name);
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? Number.NaN;
const words = (rows: readonly unknown[]): string => JSON.stringify(rows.slice(0, 5));
