import type { Digest } from "../../oci/digest.ts";
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

/** Manifests that nothing names, or keeps because it is named, or is too young itself. `untaggedSeconds`: undefined is for ever. */
export async function findDoomedManifests(
  sql: Sql,
  repositories: readonly number[],
  untaggedSeconds: number | undefined,
): Promise<DoomedRow[]> {
  if (untaggedSeconds === undefined) return [];
  const rows = await sql.query<DoomedSqlRow>(
    "gc-doomed-manifests",
    `with recursive kept as (
       (${namedBy("$1::bigint[]")}
        union select repository_id, digest from manifests
        where repository_id = any($1) and coalesce(unreferenced_at, now()) > now() - make_interval(secs => $2))
       union
       select kept.repository_id, e.digest from kept cross join lateral ${keptBy("kept")} e (digest)
     )
     select m.repository_id, r.name, m.digest, m.size from manifests m join repositories r on r.id = m.repository_id
     where m.repository_id = any($1)
       and not exists (select from kept k where k.repository_id = m.repository_id and k.digest = m.digest)
     order by m.repository_id, m.digest`,
    [repositories, untaggedSeconds],
  );
  return rows.map((row) => toItem(row, "manifest"));
}

/** An upload that was begun before a link's time was over may be part of the push that the link is for. */
export const mayBeWanted = `exists (
  select from upload_sessions u where u.repository_id = b.repository_id
    and u.created_at < coalesce(b.unreferenced_at, now()) + make_interval(secs => $2))`;

export async function findDoomedLinks(
  sql: Sql,
  repositories: readonly number[],
  { run, graceSeconds }: Search,
): Promise<DoomedRow[]> {
  const rows = await sql.query<DoomedSqlRow>(
    "gc-doomed-links",
    `select b.repository_id, r.name, b.digest, s.size
     from repository_blobs b join repositories r on r.id = b.repository_id join blobs s on s.digest = b.digest
     where b.repository_id = any($1) and coalesce(b.unreferenced_at, now()) <= now() - make_interval(secs => $2)
       and not exists (
         select from manifest_blobs mb where mb.repository_id = b.repository_id and mb.blob_digest = b.digest
           and not exists (select from gc_items i where i.run_id = $3 and i.kind = 'manifest'
             and i.digest = mb.manifest_digest and i.repository = r.name))
       and not ${isPinned("b")} and not ${mayBeWanted}
     order by b.repository_id, b.digest`,
    [repositories, graceSeconds, run],
  );
  return rows.map((row) => toItem(row, "link"));
}

/** A blob is deleted only where its mark is committed; a dry run, which marks nothing, takes all as marked. */
export async function findDoomedBlobs(
  sql: Sql,
  { run, graceSeconds }: Search,
  { dryRun, after, limit }: { readonly dryRun: boolean; readonly after: string; readonly limit: number },
): Promise<GcItem[]> {
  const rows = await sql.query<{ digest: Digest; size: string }>(
    dryRun ? "gc-doomed-blobs-dry" : "gc-doomed-blobs",
    `select b.digest, b.size from blobs b
     where b.digest > $3 and ${dryRun ? "true" : "b.unreferenced_at is not null"}
       and coalesce(b.unreferenced_at, now()) <= now() - make_interval(secs => $2)
       and not exists (
         select from repository_blobs l join repositories r on r.id = l.repository_id
         where l.digest = b.digest and not exists (select from gc_items i where i.run_id = $1 and i.kind = 'link'
           and i.digest = l.digest and i.repository = r.name))
     order by b.digest limit $4`,
    [run, graceSeconds, after, limit],
  );
  return rows.map(({ digest, size }) => ({ kind: "blob", repository: undefined, digest, size: Number(size) }));
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
