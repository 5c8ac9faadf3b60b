import type { Digest } from "../../oci/digest.ts";
import type { Sql } from "../database.ts";
import type { CheckedBlob } from "./blob-check.ts";

// Which rows of `blobs` (owner: blob-rows.ts) are to be checked, and that they were.

export interface Walk {
  readonly after: string;
  readonly limit: number;
}

/** Which blobs a sample is: those whose hash, which is another one for each seed, is not above the threshold. */
export interface Sample {
  readonly seed: number;
  /** Decimal digits; undefined: all. */
  readonly threshold: string | undefined;
}

const IN_SAMPLE = "($2::bigint is null or hashtextextended(digest, $1) <= $2)";

interface BlobSqlRow {
  digest: Digest;
  size: string;
  quarantined: boolean;
}

/** Not those in quarantine, in the order of their digests. */
export async function listBlobs(sql: Sql, { seed, threshold }: Sample, { after, limit }: Walk): Promise<CheckedBlob[]> {
  const rows = await sql.query<BlobSqlRow>(
    "check-blobs",
    `select digest, size, false as quarantined from blobs
     where ${IN_SAMPLE} and digest > $3 and quarantined_at is null order by digest limit $4`,
    [seed, threshold ?? null, after, limit],
  );
  return rows.map(toBlob);
}

export async function listBlobsInQuarantine(sql: Sql, { after, limit }: Walk): Promise<CheckedBlob[]> {
  const rows = await sql.query<BlobSqlRow>(
    "check-quarantine",
    `select digest, size, true as quarantined from blobs
     where quarantined_at is not null and digest > $1 order by digest limit $2`,
    [after, limit],
  );
  return rows.map(toBlob);
}

/** Where {@link listOldestBlobs} is to go on, as PostgreSQL writes it. */
export interface OldestPlace {
  readonly checkedAt: string;
  readonly digest: string;
}

export const fromOldest: OldestPlace = { checkedAt: "-infinity", digest: "" };

/** Those that were not held against their digests since `until`, the longest first. */
export async function listOldestBlobs(
  sql: Sql,
  after: OldestPlace,
  { until, limit }: { readonly until: string; readonly limit: number },
): Promise<(CheckedBlob & OldestPlace)[]> {
  const rows = await sql.query<BlobSqlRow & { checked_at: string }>(
    "check-oldest",
    `select digest, size, quarantined_at is not null as quarantined, checked_at::text as checked_at from blobs
     where (checked_at, digest) > ($1::timestamptz, $2) and checked_at <= $3::timestamptz
     order by checked_at, digest limit $4`,
    [after.checkedAt, after.digest, until, limit],
  );
  return rows.map((row) => ({ ...toBlob(row), checkedAt: row.checked_at }));
}

/** Just now they were looked at, and are what they were marked as or not. */
export async function noteChecked(sql: Sql, digests: readonly Digest[]): Promise<void> {
  if (digests.length === 0) return;
  await sql.query(
    "check-note",
    `with held as (select digest from blobs where digest = any($1::text[]) order by digest for no key update)
     update blobs b set checked_at = now() from held where b.digest = held.digest`,
    [digests],
  );
}

export interface Totals {
  readonly objects: number;
  readonly bytes: number;
}

export async function countBlobs(sql: Sql, { seed, threshold }: Sample): Promise<Totals> {
  const [row] = await sql.query<{ objects: string; bytes: string }>(
    "check-totals",
    `select count(*) as objects, coalesce(sum(size), 0) as bytes from blobs
     where ${IN_SAMPLE} and quarantined_at is null`,
    [seed, threshold ?? null],
  );
  return { objects: Number(row?.objects ?? 0), bytes: Number(row?.bytes ?? 0) };
}

/** Those of the walk of a run that lie before `place`, with what it has put into quarantine there. */
export async function countDone(
  sql: Sql,
  { seed, threshold }: Sample,
  { place, since }: { readonly place: string; readonly since: Date },
): Promise<Totals> {
  const [row] = await sql.query<{ objects: string; bytes: string }>(
    "check-done",
    `select count(*) as objects, coalesce(sum(size), 0) as bytes from blobs
     where ${IN_SAMPLE} and digest <= $3 and (quarantined_at is null or quarantined_at >= $4)`,
    [seed, threshold ?? null, place, since],
  );
  return { objects: Number(row?.objects ?? 0), bytes: Number(row?.bytes ?? 0) };
}

/** The threshold that `count` blobs keep to. */
export async function findThreshold(sql: Sql, seed: number, count: number): Promise<string> {
  const [row] = await sql.query<{ threshold: string | null }>(
    "check-threshold",
    `select max(hash) as threshold from (
       select hashtextextended(digest, $1) as hash from blobs where quarantined_at is null order by 1 limit $2) picked`,
    [seed, count],
  );
  return row?.threshold ?? "0";
}

/** Bytes that had no row when the collector found them, and that no repository has since. */
export async function listAdopted(sql: Sql, { after, limit }: Walk): Promise<{ digest: Digest; size: number }[]> {
  const rows = await sql.query<{ digest: Digest; size: string }>(
    "check-adopted",
    `select digest, size from blobs b where adopted_at is not null and digest > $1
       and not exists (select from repository_blobs l where l.digest = b.digest) order by digest limit $2`,
    [after, limit],
  );
  return rows.map(({ digest, size }) => ({ digest, size: Number(size) }));
}

function toBlob({ digest, size, quarantined }: BlobSqlRow): CheckedBlob {
  return { digest, size: Number(size), quarantined };
}
