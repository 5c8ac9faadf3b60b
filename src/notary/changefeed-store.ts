import type { Database, Sql } from "../storage/database.ts";

export interface Change {
  readonly id: string;
  readonly createdAt: Date;
  readonly gun: string;
  /** Of the timestamp; 0 for a deletion. */
  readonly version: number;
  /** Hex, of the timestamp; empty for a deletion. */
  readonly sha256: string;
  readonly category: "update" | "deletion";
}

export type NewChange = Omit<Change, "id">;

export interface ChangesQuery {
  /** Undefined: of all GUNs. */
  readonly gun: string | undefined;
  /** Not included. Undefined: from the newest, backwards. */
  readonly from: bigint | undefined;
  readonly backwards: boolean;
  readonly limit: number;
}

/** Any number that nobody else locks: what changes the feed waits here until the one before it is committed. */
const feedLock = 0x54524654;

/**
 * The last statement of the transaction: ids are given and committed in the same order, so that nobody who follows the
 * feed by id misses what was committed late.
 */
export async function appendChange(sql: Sql, { createdAt, gun, version, sha256, category }: NewChange): Promise<void> {
  await sql.query("trust-feed-lock", "select pg_advisory_xact_lock($1)", [feedLock]);
  await sql.query(
    "trust-feed-append",
    "insert into trust_changes (created_at, gun, version, sha256, category) values ($1, $2, $3, $4, $5)",
    [createdAt, gun, version, sha256, category],
  );
}

/** Rows of `trust_changes`. */
export class ChangefeedStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Oldest first. */
  async list({ gun, from, backwards, limit }: ChangesQuery): Promise<Change[]> {
    const [comparison, order] = backwards ? (["<", "desc"] as const) : ([">", "asc"] as const);
    const name = `trust-feed-${order}${gun === undefined ? "" : "-gun"}`;
    const text = `select id, created_at, gun, version, sha256, category from trust_changes
      where id ${comparison} $1::bigint ${gun === undefined ? "" : "and gun = $3"} order by id ${order} limit $2`;
    const values = [(from ?? maxId).toString(), limit];
    const rows = await this.#database.query(name, text, gun === undefined ? values : [...values, gun]);
    const changes = rows.map((row) => ({
      id: row.id,
      createdAt: row.created_at,
      gun: row.gun,
      version: Number(row.version),
      sha256: row.sha256,
      category: row.category,
    }));
    return backwards ? changes.reverse() : changes;
  }
}

const maxId = 2n ** 63n - 1n;
