import type { Admission } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { Database, Sql } from "./database.ts";

export type Visibility = "public" | "private";

export interface RepositoryRow {
  readonly id: number;
  readonly visibility: Visibility;
  readonly version: string;
}

/** Rows of `repositories`. */
export class RepositoryStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(name: RepositoryName): Promise<RepositoryRow | undefined> {
    return findRepository(this.#database, name);
  }

  /** As {@link ensureRepository}, in a transaction of its own where there is no such repository yet. */
  async ensure(name: RepositoryName, admission: Admission): Promise<number> {
    const id = (await this.find(name))?.id;
    if (id !== undefined && id === admission.repositoryId) return id;
    return this.#database.transaction((sql) => ensureRepository(sql, name, admission));
  }

  /** False when there is one by that name. @throws OciError NAME_UNKNOWN where there is no such namespace */
  create(name: RepositoryName, visibility?: Visibility): Promise<boolean> {
    return this.#database.transaction((sql) => insertRepository(sql, name, visibility));
  }

  /**
   * Make it, or change who may pull. `check` is told the version that is there. True when it was made.
   * @throws OciError NAME_UNKNOWN where there is no such namespace
   */
  put(name: RepositoryName, visibility: Visibility, check: (version: string | undefined) => void): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await sql.query("repository-lock", "select 1 from repositories where name = $1 for no key update", [name]);
      check((await findRepository(sql, name))?.version);
      if (await insertRepository(sql, name, visibility)) return true;
      await setVisibility(sql, name, visibility);
      return false;
    });
  }

  /** False when there is no such repository. */
  setVisibility(name: RepositoryName, visibility: Visibility): Promise<boolean> {
    return setVisibility(this.#database, name, visibility);
  }
}

async function setVisibility(sql: Sql, name: RepositoryName, visibility: Visibility): Promise<boolean> {
  const text = "update repositories set visibility = $2 where name = $1 returning id";
  return (await sql.query("repository-visibility", text, [name, visibility])).length > 0;
}

/**
 * The id of the repository that a push was admitted to; a first push makes the row, and a push that fails leaves none
 * behind. One that was deleted (or made anew) since the push was judged is not there for it.
 * @throws OciError NAME_UNKNOWN
 */
export async function ensureRepository(sql: Sql, name: RepositoryName, admission: Admission): Promise<number> {
  const found = await findId(sql, name);
  if (found !== undefined && (found === admission.repositoryId || admission.mayCreate)) return found;
  if (!admission.mayCreate) throw new OciError("NAME_UNKNOWN");
  await insertRepository(sql, name, undefined);
  const made = await findId(sql, name);
  if (made === undefined) throw new OciError("NAME_UNKNOWN");
  return made;
}

/** False when it is there already. @throws OciError NAME_UNKNOWN where there is no such namespace (any more) */
async function insertRepository(sql: Sql, name: RepositoryName, visibility: Visibility | undefined): Promise<boolean> {
  // The lock holds off a deletion of the namespace until this is committed.
  const [namespace] = await sql.query<{ default_visibility: Visibility }>(
    "repository-namespace",
    "select default_visibility from namespaces where name = $1 for key share",
    [namespaceOf(name)],
  );
  if (namespace === undefined) throw new OciError("NAME_UNKNOWN");
  const rows = await sql.query(
    "repository-insert",
    "insert into repositories (name, namespace, visibility) values ($1, $2, $3) on conflict do nothing returning 1",
    [name, namespaceOf(name), visibility ?? namespace.default_visibility],
  );
  return rows.length > 0;
}

async function findRepository(sql: Sql, name: RepositoryName): Promise<RepositoryRow | undefined> {
  const [row] = await sql.query<{ id: string; visibility: Visibility; version: string }>(
    "repository-find",
    "select id, visibility, xmin::text as version from repositories where name = $1",
    [name],
  );
  return row === undefined ? undefined : { ...row, id: Number(row.id) };
}

async function findId(sql: Sql, name: RepositoryName): Promise<number | undefined> {
  const [row] = await sql.query<{ id: string }>("repository-id", "select id from repositories where name = $1", [name]);
  return row === undefined ? undefined : Number(row.id);
}
