import type { Change, Database, Row, Sql } from "../database.ts";

export interface ScrubSettings {
  /** 0: never. */
  readonly bytesPerSecond: number;
  /** Nothing is read more often. */
  readonly everyDays: number;
}

export interface ScrubState extends ScrubSettings {
  /** Of the settings. */
  readonly version: string;
  /** Since ever. */
  readonly objects: number;
  readonly bytes: number;
  readonly damaged: number;
  /** When something was last read; undefined for never. */
  readonly lastAt: Date | undefined;
  /** When that was last read, or written, whose turn is next; undefined where there is nothing at all. */
  readonly oldestAt: Date | undefined;
}

/** The row of `scrub`. */
export class ScrubStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** 0: never. */
  async readRate(): Promise<number> {
    const [row] = await this.#database.query("scrub-rate", "select bytes_per_second from scrub");
    return Number(row?.bytes_per_second ?? 0);
  }

  /** What was last read before then, in PostgreSQL's words, has its turn. */
  async readUntil(sql: Sql): Promise<string> {
    const [row] = await sql.query(
      "scrub-until",
      "select (now() - make_interval(days => every_days))::text as until from scrub",
    );
    return row?.until ?? "-infinity";
  }

  async read(): Promise<ScrubState> {
    const [row] = await this.#database.query(
      "scrub-read",
      `select s.*, least((select min(checked_at) from blobs where quarantined_at is null),
         (select min(checked_at) from manifests where quarantined_at is null)) as oldest_at from scrub s`,
    );
    if (row === undefined) throw new Error("the table scrub has lost its row");
    return toState(row);
  }

  async put({ bytesPerSecond, everyDays }: ScrubSettings, { confirm, check }: Change): Promise<void> {
    await this.#database.transaction(async (sql) => {
      const [row] = await sql.query<{ version: string }>("scrub-lock", "select version from scrub for update");
      check(row?.version);
      await confirm(sql);
      await sql.query("scrub-put", "update scrub set bytes_per_second = $1, every_days = $2, version = version + 1", [
        bytesPerSecond,
        everyDays,
      ]);
    });
  }

  async add(sql: Sql, { objects, bytes, damaged }: { objects: number; bytes: number; damaged: number }): Promise<void> {
    await sql.query(
      "scrub-add",
      "update scrub set objects = objects + $1, bytes = bytes + $2, damaged = damaged + $3, last_at = now()",
      [objects, bytes, damaged],
    );
  }
}

function toState(row: Row): ScrubState {
  return {
    ...{ bytesPerSecond: Number(row.bytes_per_second), everyDays: row.every_days, version: row.version },
    ...{ objects: Number(row.objects), bytes: Number(row.bytes), damaged: Number(row.damaged) },
    ...{ lastAt: row.last_at ?? undefined, oldestAt: row.oldest_at ?? undefined },
  };
}
