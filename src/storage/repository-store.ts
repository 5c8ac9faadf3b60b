import type { Admission } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import { type Change, type Confirm, type Database, isViolation, type Row, type Sql } from "./database.ts";
import { findReservation, type Reservation, releaseName, reserveName, takeName } from "./repository-names.ts";

export type Visibility = "public" | "private";

export interface RepositoryRow {
  readonly id: number;
  readonly visibility: Visibility;
  readonly version: string;
}

export interface Move extends Change {
  readonly from: RepositoryName;
  readonly to: RepositoryName;
  /** Takes back what the old name alone was given; a throw keeps everything as it is. */
  release(sql: Sql): Promise<void>;
  /** Called where the namespace changes: takes back what was given in the old one. */
  leave(sql: Sql, repositoryId: number): Promise<void>;
}

export interface Deletion extends Change {
  readonly name: RepositoryName;
  /** Removes what holds on to blobs: the rest goes with the row. */
  empty(sql: Sql, repositoryId: number): Promise<void>;
}

/** Why nothing was made or moved: there is one already, or its name is kept for another. */
export type NameObstacle = { readonly kind: "taken" } | ({ readonly kind: "reserved" } & Reservation);

/** Thrown, so that nothing of the change stays. */
export class NameObstacleError extends Error {
  readonly obstacle: NameObstacle;

  constructor(obstacle: NameObstacle, options?: ErrorOptions) {
    super(`the name is ${obstacle.kind}`, options);
    this.obstacle = obstacle;
  }
}

/** Rows of `repositories`. */
export class RepositoryStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  find(name: RepositoryName): Promise<RepositoryRow | undefined> {
    return findRepository(this.#database, name);
  }

  /** As {@link ensureRepository}, in a transaction of its own where there is no such repository yet. */
  async ensure(name: RepositoryName, admission: Admission, confirm: Confirm): Promise<number> {
    const id = (await this.find(name))?.id;
    if (id !== undefined && id === admission.repositoryId) return id;
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      return ensureRepository(sql, name, admission);
    });
  }

  /**
   * Make it on purpose. The obstacle, where there is one.
   * @throws OciError NAME_UNKNOWN where there is no such namespace
   */
  create(name: RepositoryName, visibility?: Visibility): Promise<NameObstacle | undefined> {
    return this.#database.transaction((sql) => create(sql, name, visibility));
  }

  /**
   * Make it, or change who may pull. True when it was made.
   * @throws NameObstacleError; OciError NAME_UNKNOWN where there is no such namespace
   */
  put(name: RepositoryName, visibility: Visibility, { check, confirm }: Change): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      check((await lockRepository(sql, name))?.version);
      const obstacle = await create(sql, name, visibility);
      if (obstacle?.kind === "reserved") throw new NameObstacleError(obstacle);
      if (obstacle !== undefined) await setVisibility(sql, name, visibility);
      return obstacle === undefined;
    });
  }

  /** False when there is no such repository. */
  setVisibility(name: RepositoryName, visibility: Visibility): Promise<boolean> {
    return setVisibility(this.#database, name, visibility);
  }

  /**
   * Give it another name, maybe in another namespace; the old one answers as missing from then on.
   * @throws NameObstacleError; OciError NAME_UNKNOWN for the repository or the new namespace
   */
  move({ from, to, check, confirm, release, leave }: Move): Promise<void> {
    return this.#database
      .transaction(async (sql) => {
        await confirm(sql);
        const row = await lockRepository(sql, from);
        check(row?.version);
        if (row === undefined) throw new OciError("NAME_UNKNOWN");
        if (from === to) throw new NameObstacleError({ kind: "taken" });
        // Before anything is said of the new name: who meets a refusal here tries names without end, and changes nothing.
        await release(sql);
        const reservation = await findReservation(sql, to);
        if (reservation?.heldFor !== undefined && reservation.heldFor !== row.id)
          throw new NameObstacleError({ kind: "reserved", ...reservation });
        await getDefaultVisibility(sql, to);
        if (namespaceOf(from) !== namespaceOf(to)) await leave(sql, row.id);
        const text = "update repositories set name = $2, namespace = $3 where id = $1";
        await sql.query("repository-move", text, [row.id, to, namespaceOf(to)]);
        await reserveName(sql, from, row.id);
        await takeName(sql, to);
      })
      .catch((cause: unknown) => {
        if (!isViolation(cause, "repositories_name_key")) throw cause;
        throw new NameObstacleError({ kind: "taken" }, { cause });
      });
  }

  /** With everything in it. @throws OciError NAME_UNKNOWN */
  delete({ name, check, confirm, empty }: Deletion): Promise<void> {
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      const row = await lockRepository(sql, name);
      check(row?.version);
      if (row === undefined) throw new OciError("NAME_UNKNOWN");
      await empty(sql, row.id);
      await sql.query("repository-delete", "delete from repositories where id = $1", [row.id]);
      await reserveName(sql, name, undefined);
    });
  }
}

/**
 * The id of the repository that a push was admitted to; a first push makes the row, and a push that fails leaves none
 * behind. One that was deleted (or made anew) since the push was judged is not there for it. The row stays until the
 * transaction ends.
 * @throws OciError NAME_UNKNOWN, DENIED where the name is reserved
 */
export async function ensureRepository(sql: Sql, name: RepositoryName, admission: Admission): Promise<number> {
  const found = await holdRepository(sql, name);
  if (found !== undefined && (found === admission.repositoryId || admission.mayCreate)) return found;
  if (!admission.mayCreate) throw new OciError("NAME_UNKNOWN");
  const reservation = await findReservation(sql, name);
  if (reservation !== undefined) throw new OciError("DENIED", { message: reservedMessage(name, reservation) });
  await insertRepository(sql, name, undefined);
  const made = await holdRepository(sql, name);
  if (made === undefined) throw new OciError("NAME_UNKNOWN");
  return made;
}

/** What to tell somebody who may have repositories in that namespace. */
export function reservedMessage(name: RepositoryName, { until, heldFor }: Reservation): string {
  const day = until.toISOString().slice(0, 10);
  return heldFor === undefined
    ? `${name} was deleted, and until ${day} no push makes it again; to make it anew: goldseal repository create ${name}`
    : `${name} was moved to another name, and nobody can have the old one until ${day}`;
}

async function create(sql: Sql, name: RepositoryName, visibility?: Visibility): Promise<NameObstacle | undefined> {
  const reservation = await findReservation(sql, name);
  if (reservation?.heldFor !== undefined) return { kind: "reserved", ...reservation };
  if (!(await insertRepository(sql, name, visibility))) return { kind: "taken" };
  if (reservation !== undefined) await releaseName(sql, name);
  return undefined;
}

/** False when it is there already. @throws OciError NAME_UNKNOWN where there is no such namespace (any more) */
async function insertRepository(sql: Sql, name: RepositoryName, visibility: Visibility | undefined): Promise<boolean> {
  const defaultVisibility = await getDefaultVisibility(sql, name);
  const rows = await sql.query(
    "repository-insert",
    "insert into repositories (name, namespace, visibility) values ($1, $2, $3) on conflict do nothing returning 1",
    [name, namespaceOf(name), visibility ?? defaultVisibility],
  );
  return rows.length > 0;
}

/** Of the namespace, whose deletion is held off until this is committed. @throws OciError NAME_UNKNOWN */
async function getDefaultVisibility(sql: Sql, name: RepositoryName): Promise<Visibility> {
  const [namespace] = await sql.query<{ default_visibility: Visibility }>(
    "repository-namespace",
    "select default_visibility from namespaces where name = $1 for key share",
    [namespaceOf(name)],
  );
  if (namespace === undefined) throw new OciError("NAME_UNKNOWN");
  return namespace.default_visibility;
}

async function setVisibility(sql: Sql, name: RepositoryName, visibility: Visibility): Promise<boolean> {
  const text = "update repositories set visibility = $2 where name = $1 returning id";
  return (await sql.query("repository-visibility", text, [name, visibility])).length > 0;
}

const rowColumns = "id, visibility, xmin::text as version";

export async function findRepository(sql: Sql, name: RepositoryName): Promise<RepositoryRow | undefined> {
  return toRow(await sql.query("repository-find", `select ${rowColumns} from repositories where name = $1`, [name]));
}

/** Waits for pushes into it that are under way, and holds off those to come. */
export async function lockRepository(sql: Sql, name: RepositoryName): Promise<RepositoryRow | undefined> {
  const text = `select ${rowColumns} from repositories where name = $1 for update`;
  return toRow(await sql.query("repository-lock", text, [name]));
}

/** As {@link lockRepository}. @throws OciError NAME_UNKNOWN */
export async function lockRepositoryId(sql: Sql, name: RepositoryName): Promise<number> {
  const row = await lockRepository(sql, name);
  if (row === undefined) throw new OciError("NAME_UNKNOWN");
  return row.id;
}

function toRow([row]: Row[]): RepositoryRow | undefined {
  return row === undefined ? undefined : { id: Number(row.id), visibility: row.visibility, version: row.version };
}

/** The lock keeps the repository until what asks is committed; undefined where there is none. */
export async function holdRepository(sql: Sql, name: RepositoryName): Promise<number | undefined> {
  const text = "select id from repositories where name = $1 for key share";
  const [row] = await sql.query<{ id: string }>("repository-id", text, [name]);
  return row === undefined ? undefined : Number(row.id);
}
