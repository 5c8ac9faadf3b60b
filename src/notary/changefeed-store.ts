import type { Database, Row, Sql } from "../storage/database.ts";

export interface Change {
  readonly id: string;
  readonly createdAt: Date;
  readonly gun: string;
  /** Of the repository's name, as it was then: see 0047_trust_life.sql. */
  readonly life: number;
  /** Of the timestamp; 0 for a deletion. */
  readonly version: number;
  /** Hex, of the timestamp; empty for a deletion. */
  readonly sha256: string;
  readonly category: "update" | "deletion";
}

export type NewChange = Omit<Change, "id" | "life">;

export interface ChangesQuery {
  /** As whoever has the name now made it; undefined: of all GUNs, whoever they were. */
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

/** In the transaction of the change, of the life that the name has then. It is in the feed from its commit on, after all that was read there before. */
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

  /** Oldest first: all that was committed before it was asked for. */
  async list(query: ChangesQuery): Promise<Change[]> {
    const { changes, isComplete } = await this.#read(query);
    // Backwards, the number that is given may lie beyond the end.
    const reachesEnd = query.backwards || changes.length < query.limit;
    if (isComplete || !reachesEnd) return changes;
    await this.number();
    return (await this.#read(query)).changes;
  }

  /** `isComplete`: there was nothing without a number, as of the same moment. */
  async #read({ gun, from, backwards, limit }: ChangesQuery): Promise<{ changes: Change[]; isComplete: boolean }> {
    const [comparison, order] = backwards ? (["<", "desc"] as const) : ([">", "asc"] as const);
    const name = `trust-feed-${order}${gun === undefined ? "" : "-gun"}`;
    const text = `select n.news, c.* from (select exists (select from trust_news) as news) n left join lateral (
        select id, created_at, gun, life, version, sha256, category from trust_changes
        where id ${comparison} $1::bigint ${gun === undefined ? "" : OF_GUN} order by id ${order} limit $2) c on true
      order by c.id ${order}`;
    const values = [(from ?? maxId).toString(), limit];
    const rows = await this.#database.query(name, text, gun === undefined ? values : [...values, gun]);
    const changes = rows.filter(({ id }) => id !== null).map(toChange);
    return { changes: backwards ? changes.reverse() : changes, isComplete: rows[0]?.news === false };
  }

  /** Gives every change its number that is committed now. */
  async number(): Promise<void> {
    while ((await this.#database.transaction(numberSome)) === batch);
  }
}

const OF_GUN = "and gun = $3 and life = (select life_of_gun($3))";

function toChange(row: Row): Change {
  return {
    id: row.id,
    createdAt: row.created_at,
    gun: row.gun,
    life: row.life,
    version: Number(row.version),
    sha256: row.sha256,
    category: row.category,
  };
}

const maxId = 2n ** 63n - 1n;

/** Under the lock, and each statement sees what was committed before it: two who number share nothing out twice. */
async function numberSome(sql: Sql): Promise<number> {
  await sql.query("trust-feed-lock", "select pg_advisory_xact_lock($1)", [feedLock]);
  const rows = await sql.query<{ count: number }>(
    "trust-news-number",
    `with news as (
       delete from trust_news where place in (select place from trust_news order by place limit $1) returning *),
     numbered as (
       insert into trust_changes (created_at, gun, life, version, sha256, category)
       select created_at, gun, life, version, sha256, category from news order by place)
     select count(*)::int as count from news`,
    [batch],
  );
  return rows[0]?.count ?? 0;
}
