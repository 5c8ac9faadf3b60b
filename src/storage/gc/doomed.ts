import type { Digest } from "../../oci/digest.ts";
import type { StoredBlob } from "../blob-inventory.ts";
import type { Sql } from "../database.ts";
import { isPinned, keptBy, namedBy } from "./marks.ts";
import type { GcItem } from "./runs.ts";

// What a run deletes, found the same way by a dry run: what the run has on its list (gc_items) counts as gone, whether it
// was deleted or only listed, and what is not marked yet would be marked now.

export interface DoomedRow extends GcItem {
  readonly repositoryId: number;
}

export interface Search {
  readonly run: number;
  readonly graceSeconds: number;
}

/** The rows after one, in the order of repositories and digests. */
export interface Page {
  readonly repositories: readonly number[];
  readonly after: Pick<DoomedRow, "repositoryId" | "digest"> | undefined;
  readonly limit: number;
}

const valuesOf = ({ repositories, after, limit }: Page): unknown[] => [
  repositories,
  after?.repositoryId ?? 0,
  after?.digest ?? "",
  limit,
];

/**
 * Manifests that nothing names, or keeps because it is named, or is too young itself. `untaggedSeconds`: undefined is for
 * ever. (`except` costs what the two sides cost; whether an anti join does is up to what PostgreSQL believes of them.)
 */
export async function findDoomedManifests(
  sql: Sql,
  page: Page,
  untaggedSeconds: number | undefined,
): Promise<DoomedRow[]> {
  if (untaggedSeconds === undefined) return [];
  const rows = await sql.query<DoomedSqlRow>(
    "gc-doomed-manifests",
    `with recursive kept as (
       (${namedBy("$1::bigint[]")}
        union select repository_id, digest from manifests
        where repository_id = any($1) and coalesce(unreferenced_at, now()) > now() - make_interval(secs => $5))
       union
       select kept.repository_id, e.digest from kept cross join lateral ${keptBy("kept")} e (digest)
     ), doomed as (
       select repository_id, digest from manifests
       where repository_id = any($1) and (repository_id, digest) > ($2, $3)
       except select repository_id, digest from kept
     )
     select m.repository_id, r.name, m.digest, m.size
     from doomed join manifests m using (repository_id, digest) join repositories r on r.id = m.repository_id
     order by m.repository_id, m.digest limit $4`,
    [...valuesOf(page), untaggedSeconds],
  );
  return rows.map((row) => toItem(row, "manifest"));
}

/** An upload that was begun before a link's time was over may be part of the push that the link is for. */
export const mayBeWanted = (graceSeconds: string): string => `exists (
  select from upload_sessions u where u.repository_id = b.repository_id
    and u.created_at < coalesce(b.unreferenced_at, now()) + make_interval(secs => ${graceSeconds}))`;

export async function findDoomedLinks(sql: Sql, page: Page, { run, graceSeconds }: Search): Promise<DoomedRow[]> {
  const rows = await sql.query<DoomedSqlRow>(
    "gc-doomed-links",
    `select b.repository_id, r.name, b.digest, s.size
     from repository_blobs b join repositories r on r.id = b.repository_id join blobs s on s.digest = b.digest
     where b.repository_id = any($1) and (b.repository_id, b.digest) > ($2, $3)
       and coalesce(b.unreferenced_at, now()) <= now() - make_interval(secs => $5)
       and not exists (
         select from manifest_blobs mb where mb.repository_id = b.repository_id and mb.blob_digest = b.digest
           and not exists (select from gc_items i where i.run_id = $6 and i.kind = 'manifest'
             and i.digest = mb.manifest_digest and i.repository = r.name))
       and not ${isPinned("b")} and not ${mayBeWanted("$5")}
     order by b.repository_id, b.digest limit $4`,
    [...valuesOf(page), graceSeconds, run],
  );
  return rows.map((row) => toItem(row, "link"));
}

export interface DoomedBlobs {
  readonly items: readonly GcItem[];
  /** Of the blobs that were looked at; undefined at the end. */
  readonly last: string | undefined;
}

/**
 * Of the `limit` blobs after `after`. A blob is deleted only where its mark is committed, and only those are looked at; a
 * dry run, which marks nothing, takes all as marked.
 */
export async function findDoomedBlobs(
  sql: Sql,
  { run, graceSeconds }: Search,
  { dryRun, after, limit }: { readonly dryRun: boolean; readonly after: string; readonly limit: number },
): Promise<DoomedBlobs> {
  const rows = await sql.query<{ digest: Digest; size: string; doomed: boolean }>(
    dryRun ? "gc-doomed-blobs-dry" : "gc-doomed-blobs",
    `with seen as materialized (
       select digest, size, unreferenced_at from blobs
       where digest > $3 and ${dryRun ? "true" : "unreferenced_at is not null"} order by digest limit $4
     ), doomed as (
       select b.digest, b.size from seen b
       where coalesce(b.unreferenced_at, now()) <= now() - make_interval(secs => $2)
         and not exists (
           select from repository_blobs l join repositories r on r.id = l.repository_id
           where l.digest = b.digest and not exists (select from gc_items i where i.run_id = $1 and i.kind = 'link'
             and i.digest = l.digest and i.repository = r.name))
     )
     select digest, size, true as doomed from doomed
     union all select max(digest), 0, false from seen having count(*) = $4
     order by doomed, digest`,
    [run, graceSeconds, after, limit],
  );
  const items = rows
    .filter(({ doomed }) => doomed)
    .map(({ digest, size }) => toBlobItem({ digest, size: Number(size) }));
  return { items, last: rows.find(({ doomed }) => !doomed)?.digest };
}

export function toBlobItem({ digest, size }: StoredBlob): GcItem {
  return { kind: "blob", repository: undefined, digest, size };
}

interface DoomedSqlRow {
  repository_id: string;
  name: string;
  digest: Digest;
  size: string;
}

function toItem({ repository_id, name, digest, size }: DoomedSqlRow, kind: "manifest" | "link"): DoomedRow {
  return { kind, repositoryId: Number(repository_id), repository: name, digest, size: Number(size) };
}
