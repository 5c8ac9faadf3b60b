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

/** Any number that nobody else locks: who numbers changes waits here for whoever does. */
const feedLock = 0x54524654;
/** Numbered at once. */
const batch = 5000;

/** In the transaction of the change. It is in the feed from its commit on, after all that was read there before. */
export async function appendChange(sql: Sql, { createdAt, gun, version, sha256, category }: NewChange): Promise<void> {
  await sql.query(
    "trust-news-append",
    "insert into trust_news (created_at, gun, version, sha256, category) values ($1, $2, $3, $4, $5)",
    [createdAt, gun, version, sha256, category],
  );
}

/**
 * Rows of `trust_changes`, and of `trust_news` until they have a number. Numbers are given under a lock, to what is
 * committed: whoever follows the feed by number misses nothing that was committed late.
 */
export class ChangefeedStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Oldest first. */
  async list(query: ChangesQuery): Promise<Change[]> {
    const found = await this.#read(query);
    const reachesEnd = query.backwards ? query.from === undefined : found.length < query.limit;
    return reachesEnd && (await this.number()) ? this.#read(query) : found;
  }

  async #read({ gun, from, backwards, limit }: ChangesQuery): Promise<Change[]> {
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

  /** Gives every committed change its number; false where all had one. */
  async number(): Promise<boolean> {
    const text = "select 1 from trust_news limit 1";
    for (let any = false; ; any = true) {
      if ((await this.#database.query("trust-news-any", text)).length === 0) return any;
      await this.#database.transaction(numberSome);
    }
  }
}

const maxId = 2n ** 63n - 1n;

/** Under the lock, and each statement sees what was committed before it: two who number share nothing out twice. */
async function numberSome(sql: Sql): Promise<void> {
  await sql.query("trust-feed-lock", "select pg_advisory_xact_lock($1)", [feedLock]);
  await sql.query(
    "trust-news-number",
    `with news as (
       delete from trust_news where place in (select place from trust_news order by place limit $1) returning *)
     insert into trust_changes (created_at, gun, version, sha256, category)
     select created_at, gun, version, sha256, category from news order by place`,
    [batch],
  );
}
