import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "./database.ts";

/** What a tag names now. */
export interface TagDigest {
  readonly tag: string;
  readonly digest: Digest;
}

/** A tag of some repository. */
export interface NamedTag extends TagDigest {
  readonly repository: RepositoryName;
}

export interface NamespacePage {
  readonly after: { readonly repository: string; readonly tag: string };
  readonly limit: number;
}

/** Tags with what they name, for rooms that hold something against them. (owner of the rows: manifest-store.ts; this only reads) */
export interface TagDigests {
  /** In ASCII order, after the tag `after`. */
  page(repository: RepositoryName, page: { readonly after: string; readonly limit: number }): Promise<TagDigest[]>;
  /** Of all repositories of a namespace, in the order of their names and tags, after that one. */
  pageOfNamespace(namespace: string, page: NamespacePage): Promise<NamedTag[]>;
  /** Those of `tags` that are there. */
  find(repository: RepositoryName, tags: readonly string[]): Promise<ReadonlyMap<string, Digest>>;
  /** Those of `digests` that are manifests of the repository. */
  held(repository: RepositoryName, digests: readonly string[]): Promise<ReadonlySet<string>>;
}

export function openTagDigests(sql: Sql): TagDigests {
  const ofRepository = "join repositories r on r.id = t.repository_id where r.name = $1";
  return {
    page: (repository, { after, limit }) =>
      sql.query(
        "tag-digests-page",
        `select t.name as tag, t.manifest_digest as digest from tags t ${ofRepository} and t.name > $2
         order by t.name limit $3`,
        [repository, after, limit],
      ),
    pageOfNamespace: (namespace, { after, limit }) =>
      sql.query(
        "tag-digests-namespace",
        `select r.name as repository, t.name as tag, t.manifest_digest as digest
         from repositories r join tags t on t.repository_id = r.id
         where r.namespace = $1 and r.name >= $2 and (r.name, t.name) > ($2, $3) order by r.name, t.name limit $4`,
        [namespace, after.repository, after.tag, limit],
      ),
    find: async (repository, tags) => {
      const rows = await sql.query<{ tag: string; digest: Digest }>(
        "tag-digests",
        `select t.name as tag, t.manifest_digest as digest from tags t ${ofRepository} and t.name = any($2::text[])`,
        [repository, tags],
      );
      return new Map(rows.map(({ tag, digest }) => [tag, digest]));
    },
    held: async (repository, digests) => {
      const rows = await sql.query<{ digest: string }>(
        "digests-held",
        `select t.digest from manifests t ${ofRepository} and t.digest = any($2::text[])`,
        [repository, digests],
      );
      return new Set(rows.map(({ digest }) => digest));
    },
  };
}
