import type { RepositoryName } from "../oci/repository-name.ts";
import type { Change, Database, Sql } from "./database.ts";
import { lockRepositoryId } from "./repository-store.ts";

/**
 * Whether a row of `tags` stays what it is. cosign keeps the signatures of an image under a tag that it writes anew with each
 * of them: those are never fixed.
 */
export const isImmutable = (row: string): string =>
  `(${row}.name !~ '^sha(256-[0-9a-f]{64}|512-[0-9a-f]{128})[.](sig|att|sbom)$' and exists (
     select from immutable_tags i where i.repository_id = ${row}.repository_id and ${row}.name like i.likeness))`;

/** What somebody is told who wanted to move or delete the tag. */
export function immutableMessage(tag: string): string {
  return `the tag ${tag} is immutable here: nothing moves or deletes it; whoever administers the repository can lift that`;
}

export interface ImmutableTags {
  /** In ASCII order. */
  readonly patterns: readonly string[];
  readonly version: string;
}

/** Rows of `immutable_tags`. */
export class ImmutableTagsStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Undefined where there is no such repository. */
  find(repository: RepositoryName): Promise<ImmutableTags | undefined> {
    return findPatterns(this.#database, repository);
  }

  /** @throws OciError NAME_UNKNOWN */
  put(repository: RepositoryName, patterns: readonly string[], { check, confirm }: Change): Promise<void> {
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      const id = await lockRepositoryId(sql, repository);
      check((await findPatterns(sql, repository))?.version);
      await sql.query(
        "immutable-tags-drop",
        "delete from immutable_tags where repository_id = $1 and pattern <> all($2::text[])",
        [id, patterns],
      );
      await sql.query(
        "immutable-tags-put",
        `insert into immutable_tags (repository_id, pattern) select $1, p from unnest($2::text[]) p on conflict do nothing`,
        [id, patterns],
      );
    });
  }
}

/** The version is of what they are: putting the same again changes nothing. */
async function findPatterns(sql: Sql, repository: RepositoryName): Promise<ImmutableTags | undefined> {
  const [row] = await sql.query<{ patterns: string[]; version: string }>(
    "immutable-tags",
    `select p.patterns, r.id || '-' || md5(array_to_string(p.patterns, ',')) as version
     from repositories r cross join lateral (
       select array(select i.pattern from immutable_tags i where i.repository_id = r.id order by i.pattern) as patterns) p
     where r.name = $1`,
    [repository],
  );
  return row;
}

/** What somebody says that a tag is. */
export interface SaidOfTag {
  readonly tag: string;
  /** Empty for nothing. */
  readonly digest: string;
}

/** The first of the tags that is there, stays what it is, and is something else than is said. */
export async function findContradiction(
  sql: Sql,
  repositoryId: number,
  said: readonly SaidOfTag[],
): Promise<string | undefined> {
  const [row] = await sql.query<{ name: string }>(
    "tags-contradicted",
    `select t.name from unnest($2::text[], $3::text[]) s (tag, digest)
     join tags t on t.repository_id = $1 and t.name = s.tag
     where s.digest <> '' and t.manifest_digest <> s.digest and starts_with(t.manifest_digest, 'sha256:')
       and ${isImmutable("t")} order by t.name limit 1`,
    [repositoryId, said.map(({ tag }) => tag), said.map(({ digest }) => digest)],
  );
  return row?.name;
}
