import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { Database, Sql } from "./database.ts";

export type Visibility = "public" | "private";

export interface RepositoryRow {
  readonly id: number;
  readonly visibility: Visibility;
}

/** Which part of the catalog one actor may see: all, or what is public and what is in the own namespace. */
export interface CatalogView {
  readonly all: boolean;
  readonly ownNamespace: string;
}

/** Rows of `repositories`. */
export class RepositoryStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(name: RepositoryName): Promise<RepositoryRow | undefined> {
    const [row] = await this.#database.query<{ id: string; visibility: Visibility }>(
      "repository-find",
      "select id, visibility from repositories where name = $1",
      [name],
    );
    return row === undefined ? undefined : { id: Number(row.id), visibility: row.visibility };
  }

  /** The repository's id; a first push makes the row, whoever else pushes first at the same time. */
  async ensure(name: RepositoryName): Promise<number> {
    return (await this.find(name))?.id ?? (await this.#database.transaction((sql) => ensureRepository(sql, name)));
  }

  /** False when there is no such repository. */
  async setVisibility(name: RepositoryName, visibility: Visibility): Promise<boolean> {
    const rows = await this.#database.query(
      "repository-visibility",
      "update repositories set visibility = $2 where name = $1 returning id",
      [name, visibility],
    );
    return rows.length > 0;
  }

  /** Names after `last`, in ASCII order, at most `limit`. */
  async catalog(view: CatalogView, last: string, limit: number): Promise<string[]> {
    const rows = await this.#database.query<{ name: string }>(
      "repository-catalog",
      `select name from repositories
       where name > $1 and ($2 or visibility = 'public' or namespace = $3)
       order by name limit $4`,
      [last, view.all, view.ownNamespace, limit],
    );
    return rows.map(({ name }) => name);
  }
}

/** As `ensure`, inside a transaction: a push that fails leaves no repository behind. */
export async function ensureRepository(sql: Sql, name: RepositoryName): Promise<number> {
  const found = await findId(sql, name);
  if (found !== undefined) return found;
  const namespace = namespaceOf(name);
  await sql.query("namespace-ensure", "insert into namespaces (name, kind) values ($1, 'org') on conflict do nothing", [
    namespace,
  ]);
  await sql.query(
    "repository-ensure",
    "insert into repositories (name, namespace) values ($1, $2) on conflict do nothing",
    [name, namespace],
  );
  const made = await findId(sql, name);
  if (made === undefined) throw new Error(`repository ${name} vanished while it was made`);
  return made;
}

async function findId(sql: Sql, name: RepositoryName): Promise<number | undefined> {
  const [row] = await sql.query<{ id: string }>("repository-id", "select id from repositories where name = $1", [name]);
  return row === undefined ? undefined : Number(row.id);
}
