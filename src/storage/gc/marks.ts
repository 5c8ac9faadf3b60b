import type { Digest } from "../../oci/digest.ts";
import type { StoredBlob } from "../blob-inventory.ts";
import type { Sql } from "../database.ts";

// Marking: what nothing leads to says since when, what is led to again says so no more. Age plays no part in finding what
// is alive. (Rows of manifest-store.ts and blob-rows.ts: being alive goes through all of them.) A row that somebody
// holds is left for the next run, so marking never waits and nobody waits for it.

export const isPinned = (row: string): string =>
  `exists (select from pins p where p.repository_id = ${row}.repository_id and p.digest = ${row}.digest
     and (p.until is null or p.until > now()))`;

/** From the manifest `of` to what it keeps: what an index lists, and what refers to a subject. */
export const keptBy = (of: string): string =>
  `(select c.child_digest from manifest_children c
    where c.repository_id = ${of}.repository_id and c.manifest_digest = ${of}.digest
    union all
    select m.digest from manifests m where m.repository_id = ${of}.repository_id and m.subject_digest = ${of}.digest)`;

/** What tags and pins name. */
export const namedBy = (repositories: string): string =>
  `select repository_id, manifest_digest as digest from tags where repository_id = any(${repositories})
   union
   select repository_id, digest from pins where repository_id = any(${repositories}) and (until is null or until > now())`;

/** Returns how many are newly marked. With `untagged` all manifests are alive. */
export async function markManifests(sql: Sql, repositories: readonly number[], untagged: boolean): Promise<number> {
  const [row] = await sql.query<{ marked: number }>(
    "gc-mark-manifests",
    `with recursive live as (
       (${namedBy("$1::bigint[]")}
        union select repository_id, digest from manifests where $2 and repository_id = any($1))
       union
       select live.repository_id, e.digest from live cross join lateral ${keptBy("live")} e (digest)
     ), changed as (
       select m.repository_id, m.digest, l.digest is null as dead
       from manifests m left join live l on l.repository_id = m.repository_id and l.digest = m.digest
       where m.repository_id = any($1) and (m.unreferenced_at is null) = (l.digest is null)
       for no key update of m skip locked
     ), done as (
       update manifests m set unreferenced_at = case when c.dead then now() end
       from changed c where m.repository_id = c.repository_id and m.digest = c.digest returning c.dead
     )
     select count(*) filter (where dead)::int as marked from done`,
    [repositories, untagged],
  );
  return row?.marked ?? 0;
}

/** After {@link markManifests} of the same repositories. */
export async function markLinks(sql: Sql, repositories: readonly number[]): Promise<number> {
  const [row] = await sql.query<{ marked: number }>(
    "gc-mark-links",
    `with changed as (
       select b.repository_id, b.digest, not l.alive as dead
       from repository_blobs b cross join lateral (
         select ${isPinned("b")} or exists (
           select from manifest_blobs mb
           join manifests m on m.repository_id = mb.repository_id and m.digest = mb.manifest_digest
           where mb.repository_id = b.repository_id and mb.blob_digest = b.digest and m.unreferenced_at is null) as alive
       ) l
       where b.repository_id = any($1) and (b.unreferenced_at is null) = (not l.alive)
       for no key update of b skip locked
     ), done as (
       update repository_blobs b set unreferenced_at = case when c.dead then now() end
       from changed c where b.repository_id = c.repository_id and b.digest = c.digest returning c.dead
     )
     select count(*) filter (where dead)::int as marked from done`,
    [repositories],
  );
  return row?.marked ?? 0;
}

export interface MarkedWindow {
  readonly marked: number;
  /** Candidates that a repository needs again: whoever clears their marks looks at the bytes first. */
  readonly revived: readonly StoredBlob[];
  /** Of the blobs that were looked at; undefined at the end. */
  readonly last: string | undefined;
}

/** Of the `limit` blobs after `after`: candidates are those that no repository has but by links that are marked. */
export async function markBlobs(sql: Sql, after: string, limit: number): Promise<MarkedWindow> {
  const rows = await sql.query<SeenRow>(
    "gc-see-blobs",
    `with seen as materialized (
       select digest, size, unreferenced_at is not null as marked, ${isLinked("b")} as needed
       from blobs b where digest > $1 order by digest limit $2
     )
     select digest, size, marked from seen where needed = marked
     union all select max(digest), 0, null from seen having count(*) = $2`,
    [after, limit],
  );
  const loose = rows.filter(({ marked }) => marked === false).map(({ digest }) => digest);
  const revived = rows
    .filter(({ marked }) => marked === true)
    .map(({ digest, size }) => ({ digest, size: Number(size) }));
  return { marked: await markLoose(sql, loose), revived, last: rows.find(({ marked }) => marked === null)?.digest };
}

interface SeenRow {
  readonly digest: Digest;
  readonly size: string;
  /** Null: of the last one that was seen. */
  readonly marked: boolean | null;
}

const isLinked = (blob: string): string =>
  `exists (select from repository_blobs l where l.digest = ${blob}.digest and l.unreferenced_at is null)`;

/** In a statement of its own, which is given the few that change: a plan for "so many" would go through all blobs. */
async function markLoose(sql: Sql, digests: readonly Digest[]): Promise<number> {
  if (digests.length === 0) return 0;
  const rows = await sql.query(
    "gc-mark-blobs",
    `with held as (
       select digest from blobs b where digest = any($1::text[]) and unreferenced_at is null and not ${isLinked("b")}
       order by digest for no key update skip locked
     )
     update blobs b set unreferenced_at = now() from held where b.digest = held.digest returning 1`,
    [digests],
  );
  return rows.length;
}

/** Those of `blobs` that have no row. */
export async function findOrphans(sql: Sql, blobs: readonly StoredBlob[]): Promise<StoredBlob[]> {
  const rows = await sql.query<{ digest: Digest; size: string }>(
    "gc-find-orphans",
    `select o.digest, o.size from unnest($1::text[], $2::bigint[]) as o (digest, size)
     where not exists (select from blobs b where b.digest = o.digest) order by o.digest collate "C"`,
    [blobs.map(({ digest }) => digest), blobs.map(({ size }) => size)],
  );
  return rows.map(({ digest, size }) => ({ digest, size: Number(size) }));
}

/**
 * Bytes without a row become candidates: from now on they are as old as their row, and deleted as any other blob. The
 * upload that they may belong to sees the mark and looks at the bytes.
 */
export async function adoptOrphans(sql: Sql, orphans: readonly StoredBlob[]): Promise<number> {
  const rows = await sql.query(
    "gc-adopt",
    `insert into blobs (digest, size, unreferenced_at, adopted_at)
     select digest, size, now(), now() from unnest($1::text[], $2::bigint[]) as o (digest, size)
     on conflict (digest) do nothing returning 1`,
    [orphans.map(({ digest }) => digest), orphans.map(({ size }) => size)],
  );
  return rows.length;
}
