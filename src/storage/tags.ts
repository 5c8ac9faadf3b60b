import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Tag } from "../oci/reference.ts";
import type { Sql } from "./database.ts";
import { immutableMessage, isImmutable } from "./immutable-tags.ts";

// Rows of `tags` are manifest-store.ts's; this is how all that write them do so within their transactions.

/**
 * From the commit of `sql` on the tags name the manifest, which is there.
 * @throws OciError DENIED where one of them is immutable and names another
 */
export async function putTags(sql: Sql, repositoryId: number, tags: readonly Tag[], digest: Digest): Promise<void> {
  const rows = await sql.query<{ name: string }>(
    "tags-put",
    `insert into tags (repository_id, name, manifest_digest)
     select $1, name, $3 from unnest($2::text[]) name order by name
     on conflict (repository_id, name) do update set manifest_digest = excluded.manifest_digest, updated_at = now()
     where tags.manifest_digest = excluded.manifest_digest or not ${isImmutable("tags.repository_id", "tags.name")}
     returning name`,
    [repositoryId, tags, digest],
  );
  if (rows.length === tags.length) return;
  const put = new Set(rows.map(({ name }) => name));
  throw immutable(tags.find((tag) => !put.has(tag)) ?? "");
}

/** Undefined where there is none. The lock keeps it as it is until the commit. */
export async function lockTag(sql: Sql, repositoryId: number, tag: Tag): Promise<Digest | undefined> {
  const [row] = await sql.query<{ digest: Digest }>(
    "tag-lock",
    "select manifest_digest as digest from tags where repository_id = $1 and name = $2 for update",
    [repositoryId, tag],
  );
  return row?.digest;
}

/** False where there is none. @throws OciError DENIED where it is immutable */
export async function deleteTag(sql: Sql, repositoryId: number, tag: Tag): Promise<boolean> {
  if ((await lockTag(sql, repositoryId, tag)) === undefined) return false;
  const rows = await sql.query(
    "tag-delete",
    `delete from tags t where t.repository_id = $1 and t.name = $2 and not ${isImmutable("t.repository_id", "t.name")}
     returning 1`,
    [repositoryId, tag],
  );
  if (rows.length === 0) throw immutable(tag);
  return true;
}

/** Whoever deletes a manifest deletes its tags. @throws OciError DENIED where one of them is immutable */
export async function mustBeDeletable(sql: Sql, repositoryId: number, digest: Digest): Promise<void> {
  const [row] = await sql.query<{ name: string }>(
    "manifest-tags-immutable",
    `select t.name from tags t where t.repository_id = $1 and t.manifest_digest = $2
       and ${isImmutable("t.repository_id", "t.name")} limit 1`,
    [repositoryId, digest],
  );
  if (row !== undefined) throw immutable(row.name);
}

function immutable(tag: string): OciError {
  return new OciError("DENIED", { message: immutableMessage(tag), detail: { tag } });
}
