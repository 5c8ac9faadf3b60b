import type { Digest } from "../oci/digest.ts";
import type { JsonObject } from "../oci/json.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "./database.ts";

export type ImageEventKind = "pushed" | "promoted" | "reversed" | "approved" | "rejected";

/** Who did something. */
export interface Author {
  /** A user or robot. */
  readonly name: string;
  /** Undefined for whoever is no person. */
  readonly userId: number | undefined;
}

/** Something that was done with an image in a repository. */
export interface ImageEvent {
  readonly repositoryId: number;
  readonly at: Date;
  readonly kind: ImageEventKind;
  readonly digest: Digest;
  readonly tag: Tag | undefined;
  readonly by: Author;
  readonly detail: JsonObject;
}

export interface StoredImageEvent extends ImageEvent {
  readonly id: string;
}

export interface Push {
  readonly repositoryId: number;
  readonly digest: Digest;
  readonly tags: readonly Tag[];
  readonly by: Author;
}

/** In the transaction of a push, before it changes anything: what is there already was pushed before. */
export async function recordPush(sql: Sql, { repositoryId, digest, tags, by }: Push): Promise<void> {
  await sql.query(
    "image-history-push",
    `insert into image_history (repository_id, at, kind, digest, tag, actor, user_id)
     select $1, now(), 'pushed', $2, p.tag, $4, $5 from unnest($3::text[]) p (tag)
     where case when p.tag is null
       then not exists (select from manifests m where m.repository_id = $1 and m.digest = $2)
       else not exists (
         select from tags t where t.repository_id = $1 and t.name = p.tag and t.manifest_digest = $2) end`,
    [repositoryId, digest, tags.length === 0 ? [null] : tags, by.name, by.userId ?? null],
  );
}

/** In the transaction that does it. */
export async function recordImage(sql: Sql, event: ImageEvent): Promise<void> {
  await sql.query(
    "image-history-put",
    `insert into image_history (repository_id, at, kind, digest, tag, actor, user_id, detail)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      ...[event.repositoryId, event.at, event.kind, event.digest, event.tag ?? null, event.by.name],
      ...[event.by.userId ?? null, JSON.stringify(event.detail)],
    ],
  );
}

/** Who brought the image under this tag, the last time. */
export async function findArrival(
  sql: Sql,
  { repositoryId, tag, digest }: Pick<StoredImageEvent, "repositoryId" | "tag" | "digest">,
): Promise<Author | undefined> {
  const [row] = await sql.query<{ name: string; user_id: string | null }>(
    "image-history-arrival",
    `select h.actor as name, h.user_id from image_history h
     where h.repository_id = $1 and h.tag = $2 and h.digest = $3 and h.kind in ('pushed', 'promoted')
     order by h.id desc limit 1`,
    [repositoryId, tag, digest],
  );
  return row && { name: row.name, userId: row.user_id === null ? undefined : Number(row.user_id) };
}

/** Of one image in all repositories, by their names now; the newest first. */
export async function listImageEvents(
  sql: Sql,
  { digest, limit }: { readonly digest: Digest; readonly limit: number },
): Promise<(StoredImageEvent & { readonly repository: RepositoryName })[]> {
  const rows = await sql.query(
    "image-history",
    `select h.*, r.name as repository from image_history h join repositories r on r.id = h.repository_id
     where h.digest = $1 order by h.id desc limit $2`,
    [digest, limit],
  );
  return rows.map((row) => ({
    ...{ id: row.id, repositoryId: Number(row.repository_id), repository: row.repository, at: row.at, kind: row.kind },
    ...{ digest: row.digest, tag: row.tag ?? undefined, detail: row.detail },
    by: { name: row.actor, userId: row.user_id === null ? undefined : Number(row.user_id) },
  }));
}

/** Something that refers to an image by its subject, or by the tag that cosign gives it. */
export interface Attached {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  readonly artifactType: string | undefined;
  readonly at: Date;
  /** Who pushed it, where that is known. */
  readonly by: string | undefined;
}

/** In the repositories that the image came to. */
export async function listAttached(
  sql: Sql,
  { digest, limit }: { readonly digest: Digest; readonly limit: number },
): Promise<Attached[]> {
  const rows = await sql.query(
    "image-history-attached",
    `with place as (select distinct h.repository_id as id from image_history h where h.digest = $1),
     found as (
       select p.id, m.digest, m.artifact_type, m.created_at as at from place p
       join manifests m on m.repository_id = p.id and m.subject_digest = $1
       union
       select p.id, h.digest, null, h.at from place p cross join unnest(array['.sig', '.att', '.sbom']) s (suffix)
       join image_history h on h.repository_id = p.id and h.tag = replace($1, ':', '-') || s.suffix
     )
     select r.name as repository, f.digest, f.artifact_type, f.at, (
       select e.actor from image_history e where e.digest = f.digest and e.repository_id = f.id order by e.id limit 1) as by
     from found f join repositories r on r.id = f.id order by f.at desc, f.digest limit $2`,
    [digest, limit],
  );
  return rows.map((row) => ({
    ...{ repository: row.repository, digest: row.digest, at: row.at },
    ...{ artifactType: row.artifact_type ?? undefined, by: row.by ?? undefined },
  }));
}
