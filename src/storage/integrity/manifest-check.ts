import type { Digest } from "../../oci/digest.ts";
import { OciError } from "../../oci/error.ts";
import type { Sql } from "../database.ts";

// Manifests are hashed where they are, by PostgreSQL. (Rows of manifest-store.ts.)

export interface ManifestKey {
  readonly repositoryId: number;
  readonly digest: Digest;
}

export interface ManifestVerdict extends ManifestKey {
  readonly repository: string;
  /** Bytes that it should have. */
  readonly size: number;
  readonly isWhole: boolean;
  readonly quarantined: boolean;
  /** Of the bytes that are there. */
  readonly found: string;
}

const ACTUAL = `case when starts_with(m.digest, 'sha512:') then 'sha512:' || encode(sha512(m.content), 'hex')
  else 'sha256:' || encode(sha256(m.content), 'hex') end`;
const IS_WHOLE = `(octet_length(m.content) = m.size and m.digest = ${ACTUAL})`;

const columnsOf = (keys: readonly ManifestKey[]) => [
  keys.map(({ repositoryId }) => repositoryId),
  keys.map(({ digest }) => digest),
];

/** The keys after `after`, in the order of repositories and digests. */
export async function listManifests(sql: Sql, after: ManifestKey | undefined, limit: number): Promise<ManifestKey[]> {
  const rows = await sql.query<{ repository_id: string; digest: Digest }>(
    "manifests-after",
    `select repository_id, digest from manifests where (repository_id, digest) > ($1, $2)
     order by repository_id, digest limit $3`,
    [after?.repositoryId ?? 0, after?.digest ?? "", limit],
  );
  return rows.map(toKey);
}

/** Those that were not held against their digests since `until`, the longest first. */
export async function listOldestManifests(sql: Sql, until: string, limit: number): Promise<ManifestKey[]> {
  const rows = await sql.query<{ repository_id: string; digest: Digest }>(
    "manifests-oldest",
    `select repository_id, digest from manifests where checked_at <= $1::timestamptz
     order by checked_at, repository_id, digest limit $2`,
    [until, limit],
  );
  return rows.map(toKey);
}

/** Of those that are there still. */
async function judgeManifests(sql: Sql, keys: readonly ManifestKey[]): Promise<ManifestVerdict[]> {
  const rows = await sql.query(
    "manifests-judge",
    `select m.repository_id, m.digest, r.name, m.size, ${IS_WHOLE} as whole, m.quarantined_at is not null as quarantined,
       ${ACTUAL} as found
     from unnest($1::bigint[], $2::text[]) as k (repository_id, digest)
     join manifests m on m.repository_id = k.repository_id and m.digest = k.digest
     join repositories r on r.id = m.repository_id`,
    columnsOf(keys),
  );
  return rows.map((row) => ({
    ...{ repositoryId: Number(row.repository_id), digest: row.digest, repository: row.name, size: row.size },
    ...{ isWhole: row.whole, quarantined: row.quarantined, found: row.found },
  }));
}

/** One by one where that fails for all of them: a damaged page of PostgreSQL's concerns a few. */
export async function judgeEach(
  sql: Sql,
  keys: readonly ManifestKey[],
  onError: (key: ManifestKey, error: unknown) => void,
): Promise<ManifestVerdict[]> {
  try {
    return await judgeManifests(sql, keys);
  } catch (error) {
    if (error instanceof OciError) throw error;
    const [only, ...more] = keys;
    if (only !== undefined && more.length === 0) {
      onError(only, error);
      return [];
    }
    const verdicts: ManifestVerdict[] = [];
    for (const key of keys) verdicts.push(...(await judgeEach(sql, [key], onError)));
    return verdicts;
  }
}

/** Judged again as they are marked; a copy of the bytes is kept. Returns how many were marked. */
export async function quarantineManifests(sql: Sql, keys: readonly ManifestKey[]): Promise<number> {
  const rows = await sql.query(
    "manifests-quarantine",
    `with damaged as (
       update manifests m set quarantined_at = now(), checked_at = now()
       from unnest($1::bigint[], $2::text[]) as k (repository_id, digest)
       where m.repository_id = k.repository_id and m.digest = k.digest and m.quarantined_at is null and not ${IS_WHOLE}
       returning m.repository_id, m.digest, m.content, ${ACTUAL} as found
     )
     insert into quarantine (kind, repository_id, digest, reason, found, content)
     select 'manifest', repository_id, digest, 'digest', found, content from damaged returning 1`,
    columnsOf(keys),
  );
  return rows.length;
}

/** Of those that could be judged: those that are whole come out of quarantine and count as checked. Returns how many came out. */
export async function passManifests(sql: Sql, keys: readonly ManifestKey[]): Promise<number> {
  const [row] = await sql.query<{ lifted: number }>(
    "manifests-pass",
    `with held as (
       select m.repository_id, m.digest, m.quarantined_at is not null as lifted
       from unnest($1::bigint[], $2::text[]) as k (repository_id, digest)
       join manifests m on m.repository_id = k.repository_id and m.digest = k.digest
       where ${IS_WHOLE} order by m.repository_id, m.digest for no key update of m
     ), passed as (
       update manifests m set quarantined_at = null, checked_at = now()
       from held h where m.repository_id = h.repository_id and m.digest = h.digest returning h.lifted
     )
     select count(*) filter (where lifted)::int as lifted from passed`,
    columnsOf(keys),
  );
  return row?.lifted ?? 0;
}

/** Of those that stay in quarantine, so that they are not the next again. */
export async function noteLook(sql: Sql, keys: readonly ManifestKey[]): Promise<void> {
  await sql.query(
    "manifests-looked",
    `update manifests m set checked_at = now() from unnest($1::bigint[], $2::text[]) as k (repository_id, digest)
     where m.repository_id = k.repository_id and m.digest = k.digest`,
    columnsOf(keys),
  );
}

function toKey({ repository_id, digest }: { repository_id: string; digest: Digest }): ManifestKey {
  return { repositoryId: Number(repository_id), digest };
}
