import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { isAutoSigned } from "./auto-sign-rules.ts";
import type { Sql } from "./database.ts";
import { immutableMessage, isImmutable } from "./immutable-tags.ts";

/** Tags of one repository, and the manifest that they name. */
export interface TagsOf {
  readonly repository: RepositoryName;
  readonly tags: readonly Tag[];
  readonly digest: Digest;
}

export interface TagMove extends TagsOf {
  readonly repositoryId: number;
  /** Bytes of the manifest. */
  readonly size: number;
}

/** What is said of tags under a rule (auto-sign-rules.ts), within the transaction that moves or deletes them. */
export interface TagSigner {
  /** @throws OciError DENIED where it cannot be said: then the tags stay what they were */
  sign(sql: Sql, tags: TagMove): Promise<void>;
  /** @throws OciError DENIED */
  withdraw(sql: Sql, tags: TagsOf): Promise<void>;
}

export const noTagSigner: TagSigner = { sign: async () => undefined, withdraw: async () => undefined };

interface TagRow {
  readonly name: Tag;
  /** Whether it is under a rule. */
  readonly signed: boolean;
}

const underRule = (rows: readonly TagRow[]): Tag[] => rows.filter(({ signed }) => signed).map(({ name }) => name);

/** Makes or moves them; those under a rule. @throws OciError DENIED where one of them is immutable and names another */
export async function putTags(sql: Sql, { repositoryId, tags, digest }: TagMove): Promise<Tag[]> {
  const rows = await sql.query<TagRow>(
    "tags-put",
    `insert into tags (repository_id, name, manifest_digest)
     select $1, name, $3 from unnest($2::text[]) name order by name
     on conflict (repository_id, name) do update set manifest_digest = excluded.manifest_digest, updated_at = now()
     where tags.manifest_digest = excluded.manifest_digest or not ${isImmutable("tags")}
     returning name, ${isAutoSigned("tags")} as signed`,
    [repositoryId, tags, digest],
  );
  const put = new Set(rows.map(({ name }) => name));
  const kept = tags.find((tag) => !put.has(tag));
  if (kept !== undefined) throw immutable(kept);
  return underRule(rows);
}

/** What it names; undefined where there is none. The lock keeps it as it is until the commit. */
export async function lockTag(sql: Sql, repositoryId: number, tag: Tag): Promise<Digest | undefined> {
  const [row] = await sql.query<{ digest: Digest }>(
    "tag-lock",
    "select manifest_digest as digest from tags where repository_id = $1 and name = $2 for update",
    [repositoryId, tag],
  );
  return row?.digest;
}

/** What it named, and whether it was under a rule; undefined where it was not there. @throws OciError DENIED if immutable */
export async function deleteTagRow(
  sql: Sql,
  repository: RepositoryName,
  tag: Tag,
): Promise<{ readonly digest: Digest; readonly signed: boolean } | undefined> {
  const [row] = await sql.query<{ digest: Digest; signed: boolean; fixed: boolean }>(
    "tag-delete",
    `delete from tags t using repositories r where r.id = t.repository_id and r.name = $1 and t.name = $2
     returning t.manifest_digest as digest, ${isAutoSigned("t")} as signed, ${isImmutable("t")} as fixed`,
    [repository, tag],
  );
  // With the transaction the tag is there again.
  if (row?.fixed === true) throw immutable(tag);
  return row;
}

/** Every tag of a manifest whose row is locked; those that were under a rule. @throws OciError DENIED if one is immutable */
export async function deleteTagsOf(sql: Sql, repositoryId: string, digest: Digest): Promise<Tag[]> {
  const text = `delete from tags t where t.repository_id = $1 and t.manifest_digest = $2
    returning t.name, ${isAutoSigned("t")} as signed, ${isImmutable("t")} as fixed`;
  const rows = await sql.query<TagRow & { fixed: boolean }>("tags-delete", text, [repositoryId, digest]);
  const kept = rows.find(({ fixed }) => fixed);
  if (kept !== undefined) throw immutable(kept.name);
  return underRule(rows);
}

function immutable(tag: Tag): OciError {
  return new OciError("DENIED", { message: immutableMessage(tag), detail: { tag } });
}
