import type { Page } from "../http/rest-page.ts";
import type { Change, Database, Sql } from "../storage/database.ts";
import { type Failpoint, noFailpoint } from "../storage/failpoint.ts";
import type { RightsRows } from "./change-rights.ts";
import { notFound, OrgsError } from "./errors.ts";
import { type InOrg, inOrg } from "./org-rows.ts";
import type { Extra, Level } from "./permissions.ts";
import { getTeamId } from "./teams-store.ts";

export interface Grant {
  readonly team: string;
  /** The repository's name within the organization, or `*`: all of them. */
  readonly scope: string;
  readonly level: Level;
  readonly extra: readonly Extra[];
  readonly version: string;
}

/** One grant of a team of an organization. */
export interface GrantKey {
  readonly org: string;
  readonly team: string;
  readonly scope: string;
}

const WHOLE = "*";
const scopeColumn = `(case when g.repository_id is null then '*' else substr(r.name, length(g.org) + 2) end) collate "C"`;
const grantColumns = `t.name as team, ${scopeColumn} as scope, g.level, g.extra, g.xmin::text as version`;
const grantTables = "grants g join teams t on t.id = g.team_id left join repositories r on r.id = g.repository_id";

/** Rows of `grants`: what teams may do. */
export class GrantsStore {
  readonly #database: Database;
  readonly #rows: RightsRows;

  constructor(database: Database, failpoint: Failpoint = noFailpoint) {
    this.#database = database;
    this.#rows = { database, failpoint };
  }

  /** Of one team, by scope. */
  listOfTeam({ org, name }: InOrg, { after, limit }: Page): Promise<Grant[]> {
    return this.#database.query<Grant>(
      "grants-team",
      `select ${grantColumns} from ${grantTables}
       where t.org = $1 and t.name = $2 and ${scopeColumn} > $3 order by ${scopeColumn} limit $4`,
      [org, name, after, limit],
    );
  }

  /** That concern one repository, those of the whole organization too; by team and scope. @throws OrgsError not-found */
  async listOfRepository({ org, name }: InOrg): Promise<Grant[]> {
    await findRepositoryId(this.#database, { org, scope: name });
    return this.#database.query<Grant>(
      "grants-repository",
      `select ${grantColumns} from ${grantTables}
       where t.org = $1 and (g.repository_id is null or r.name = $1 || '/' || $2) order by t.name, ${scopeColumn}`,
      [org, name],
    );
  }

  find(key: GrantKey): Promise<Grant | undefined> {
    return findGrant(this.#database, key);
  }

  /** True when it is new. @throws OrgsError not-found for the team or the repository */
  put(key: GrantKey, { level, extra }: Pick<Grant, "level" | "extra">, { check, confirm }: Change): Promise<boolean> {
    return inOrg(this.#rows, { org: key.org, confirm }, async (sql) => {
      const teamId = await getTeamId(sql, { org: key.org, name: key.team });
      const before = await findGrant(sql, key);
      check(before?.version);
      await sql.query(
        "grant-put",
        `insert into grants (team_id, org, repository_id, level, extra) values ($1, $2, $3, $4, $5)
         on conflict on constraint grants_scope do update set level = excluded.level, extra = excluded.extra`,
        [teamId, key.org, await findRepositoryId(sql, key), level, extra],
      );
      return before === undefined;
    });
  }

  /** @throws OrgsError not-found */
  async delete(key: GrantKey, { check, confirm }: Change): Promise<void> {
    await inOrg(this.#rows, { org: key.org, confirm }, async (sql) => {
      const teamId = await getTeamId(sql, { org: key.org, name: key.team });
      const before = await findGrant(sql, key);
      check(before?.version);
      if (before === undefined) throw notFound();
      await sql.query(
        "grant-delete",
        "delete from grants where team_id = $1 and repository_id is not distinct from $2",
        [teamId, await findRepositoryId(sql, key)],
      );
    });
  }
}

/** A repository that leaves the organization takes nothing of its teams along. */
export async function dropGrantsOf(sql: Sql, repositoryId: number): Promise<void> {
  await sql.query("grants-drop", "delete from grants where repository_id = $1", [repositoryId]);
}

/** Null for all. The lock holds off a deletion or a move until the grant is written. @throws OrgsError not-found */
async function findRepositoryId(sql: Sql, { org, scope }: Omit<GrantKey, "team">): Promise<string | null> {
  if (scope === WHOLE) return null;
  const text = "select id from repositories where name = $1 for key share";
  const [row] = await sql.query<{ id: string }>("grant-repository", text, [`${org}/${scope}`]);
  if (row === undefined) throw new OrgsError("not-found", `there is no repository ${org}/${scope}`);
  return row.id;
}

async function findGrant(sql: Sql, { org, team, scope }: GrantKey): Promise<Grant | undefined> {
  const [row] = await sql.query<Grant>(
    "grant-find",
    `select ${grantColumns} from ${grantTables}
     where t.org = $1 and t.name = $2 and
       (case when $3 = '*' then g.repository_id is null else r.name = $1 || '/' || $3 end)`,
    [org, team, scope],
  );
  return row;
}
