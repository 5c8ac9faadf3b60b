import type { RepositoryName } from "../oci/repository-name.ts";
import type { Database, Row, Sql } from "../storage/database.ts";

/** What a verdict rests on: it holds while both are the same. */
export interface Stamp {
  /** Of the repository's content and of the trust data that its rules look into. */
  readonly version: string;
  /** Of keys, accounts, teams and policies. */
  readonly people: string;
}

export interface Due {
  readonly repositoryId: number;
  readonly repository: RepositoryName;
}

/** As the look-up of a manifest reads it: `<version>.<people>`; undefined where no verdict may be kept yet. */
export function parseStamp(watch: string): Stamp | undefined {
  const [version, people] = watch.split(".");
  return version === undefined || people === undefined ? undefined : { version, people };
}

export const isSame = (a: Stamp, b: Stamp): boolean => a.version === b.version && a.people === b.people;

/** Rows of `verdict_repositories`, `verdict_sources` and `verdict_people`; their triggers raise the versions. */
export class WatchStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Read before anything that a verdict is made of. Undefined where nothing may be kept. */
  async read(repositoryId: number): Promise<Stamp | undefined> {
    const text = `select w.version, p.version as people from verdict_repositories w cross join verdict_people p
      where w.repository_id = $1 and w.settled`;
    return toStamp(await this.#database.query("verdict-stamp", text, [repositoryId]));
  }

  /**
   * A change whose transaction had begun before the repository was watched may not have raised its version. So there is
   * nothing to rely on before all of those are over. (A transaction gets its number, `xid8`, with its first change.)
   */
  async settle(repositoryId: number): Promise<void> {
    const mark = `update verdict_repositories set after = pg_snapshot_xmax(pg_current_snapshot())
      where repository_id = $1 and not settled and after is null`;
    const settle = `update verdict_repositories set settled = true
      where repository_id = $1 and not settled and after <= pg_snapshot_xmin(pg_current_snapshot())`;
    await this.#database.query("verdict-mark", mark, [repositoryId]);
    await this.#database.query("verdict-settle", settle, [repositoryId]);
  }

  /** Repositories of which something may have changed since everything tagged in them was judged, in the order of their ids. */
  async listDue(now: Date, after: number, limit: number): Promise<Due[]> {
    const rows = await this.#database.query(
      "verdict-due",
      `select r.id, r.name from verdict_repositories w cross join verdict_people p join repositories r on r.id = w.repository_id
       where w.repository_id > $2 and (w.judged_version is distinct from w.version
         or w.judged_people is distinct from p.version or w.due_at <= $1)
       order by w.repository_id limit $3`,
      [now, after, limit],
    );
    return rows.map(({ id, name }) => ({ repositoryId: Number(id), repository: name }));
  }

  /** Everything tagged in it was judged as of `stamp`, and that holds until `dueAt`. */
  async markJudged(repositoryId: number, { version, people }: Stamp, dueAt: Date | undefined): Promise<void> {
    const text = `update verdict_repositories set judged_version = $2, judged_people = $3, due_at = $4
      where repository_id = $1`;
    await this.#database.query("verdict-judged", text, [repositoryId, version, people, dueAt ?? null]);
  }
}

/** As {@link WatchStore.read}, and until the transaction ends nothing changes it. */
export async function holdStamp(sql: Sql, repositoryId: number): Promise<Stamp | undefined> {
  const text = `select w.version, p.version as people from verdict_repositories w cross join verdict_people p
    where w.repository_id = $1 and w.settled for share`;
  return toStamp(await sql.query("verdict-hold", text, [repositoryId]));
}

function toStamp([row]: Row[]): Stamp | undefined {
  return row === undefined ? undefined : { version: row.version, people: row.people };
}
