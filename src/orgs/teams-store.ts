import type { Page } from "../http/rest-page.ts";
import type { Change, Database, Sql } from "../storage/database.ts";
import { type Failpoint, noFailpoint } from "../storage/failpoint.ts";
import type { RightsRows } from "./change-rights.ts";
import { notFound, OrgsError } from "./errors.ts";
import { getUserId, type InOrg, inOrg } from "./org-rows.ts";

export interface Team {
  readonly name: string;
  readonly createdAt: Date;
  readonly version: string;
}

export interface TeamMember {
  readonly user: string;
  /** May add and remove members of this team. */
  readonly admin: boolean;
  readonly version: string;
}

/** Name of a user in a team of an organization. */
export interface InTeam {
  readonly org: string;
  readonly team: string;
  readonly user: string;
}

const teamColumns = 't.name, t.created_at as "createdAt", t.xmin::text as version';
const memberColumns = 'u.name as "user", tm.admin, tm.xmin::text as version';

/** Rows of `teams` and `team_members`. */
export class TeamsStore {
  readonly #database: Database;
  readonly #rows: RightsRows;

  constructor(database: Database, failpoint: Failpoint = noFailpoint) {
    this.#database = database;
    this.#rows = { database, failpoint };
  }

  list(org: string, { after, limit }: Page): Promise<Team[]> {
    return this.#database.query<Team>(
      "teams-list",
      `select ${teamColumns} from teams t where t.org = $1 and t.name > $2 order by t.name limit $3`,
      [org, after, limit],
    );
  }

  find(where: InOrg): Promise<Team | undefined> {
    return findTeam(this.#database, where);
  }

  /** True when it was made. @throws OrgsError not-found when there is no such organization */
  put(where: InOrg, { check, confirm }: Change): Promise<boolean> {
    return inOrg(this.#rows, { org: where.org, confirm }, async (sql) => {
      const before = await findTeam(sql, where);
      check(before?.version);
      if (before !== undefined) return false;
      await sql.query("team-insert", "insert into teams (org, name) values ($1, $2)", [where.org, where.name]);
      return true;
    });
  }

  /** With its members and grants. @throws OrgsError not-found */
  async delete(where: InOrg, { check, confirm }: Change): Promise<void> {
    await inOrg(this.#rows, { org: where.org, confirm }, async (sql) => {
      const before = await findTeam(sql, where);
      check(before?.version);
      if (before === undefined) throw notFound();
      await sql.query("team-delete", "delete from teams where org = $1 and name = $2", [where.org, where.name]);
    });
  }

  listMembers({ org, name }: InOrg, { after, limit }: Page): Promise<TeamMember[]> {
    return this.#database.query<TeamMember>(
      "team-members",
      `select ${memberColumns} from teams t join team_members tm on tm.team_id = t.id join users u on u.id = tm.user_id
       where t.org = $1 and t.name = $2 and u.name > $3 order by u.name limit $4`,
      [org, name, after, limit],
    );
  }

  findMember(where: InTeam): Promise<TeamMember | undefined> {
    return findTeamMember(this.#database, where);
  }

  /** True when the user was none before. @throws OrgsError not-found, not-a-member of the organization */
  putMember(where: InTeam, admin: boolean, { check, confirm }: Change): Promise<boolean> {
    const { org, team, user } = where;
    return inOrg(this.#rows, { org, confirm }, async (sql) => {
      const teamId = await getTeamId(sql, { org, name: team });
      const before = await findTeamMember(sql, where);
      check(before?.version);
      const rows = await sql.query(
        "team-member-put",
        `insert into team_members (team_id, org, user_id, admin)
         select $1, m.org, m.user_id, $4 from org_members m join users u on u.id = m.user_id
         where m.org = $2 and u.name = $3 for key share of m
         on conflict (team_id, user_id) do update set admin = excluded.admin returning 1`,
        [teamId, org, user, admin],
      );
      // Unknown and of no concern to the organization are one: its teams' administrators are not told who there is.
      if (rows.length === 0)
        throw new OrgsError("not-a-member", `${user} is not a member of ${org}; teams take members only`);
      return before === undefined;
    });
  }

  /** @throws OrgsError not-found */
  async deleteMember(where: InTeam, { check, confirm }: Change): Promise<void> {
    const { org, team, user } = where;
    await inOrg(this.#rows, { org, confirm }, async (sql) => {
      const teamId = await getTeamId(sql, { org, name: team });
      const before = await findTeamMember(sql, where);
      check(before?.version);
      if (before === undefined) throw notFound();
      await sql.query("team-member-delete", "delete from team_members where team_id = $1 and user_id = $2", [
        teamId,
        await getUserId(sql, user),
      ]);
    });
  }
}

/** @throws OrgsError not-found */
export async function getTeamId(sql: Sql, { org, name }: InOrg): Promise<number> {
  const [row] = await sql.query<{ id: string }>("team-id", "select id from teams where org = $1 and name = $2", [
    org,
    name,
  ]);
  if (row === undefined) throw new OrgsError("not-found", `there is no team ${name} in ${org}`);
  return Number(row.id);
}

async function findTeam(sql: Sql, { org, name }: InOrg): Promise<Team | undefined> {
  const text = `select ${teamColumns} from teams t where t.org = $1 and t.name = $2`;
  const [row] = await sql.query<Team>("team-find", text, [org, name]);
  return row;
}

/** Members of the organization, into one of its teams. Answers who was not in it before. */
export async function addTeamMembers(sql: Sql, org: string, teamId: number, userIds: readonly number[]) {
  const rows = await sql.query<{ user_id: string }>(
    "team-members-add",
    `insert into team_members (team_id, org, user_id) select $1, $2, unnest($3::bigint[])
     on conflict do nothing returning user_id`,
    [teamId, org, userIds],
  );
  return rows.map(({ user_id }) => Number(user_id));
}

export async function removeTeamMembers(sql: Sql, teamId: number, userIds: readonly number[]): Promise<void> {
  await sql.query(
    "team-members-remove",
    "delete from team_members where team_id = $1 and user_id = any($2::bigint[])",
    [teamId, userIds],
  );
}

/** Undefined for who is none. */
export async function findTeamMember(sql: Sql, { org, team, user }: InTeam): Promise<TeamMember | undefined> {
  const [row] = await sql.query<TeamMember>(
    "team-member",
    `select ${memberColumns} from teams t join team_members tm on tm.team_id = t.id join users u on u.id = tm.user_id
     where t.org = $1 and t.name = $2 and u.name = $3`,
    [org, team, user],
  );
  return row;
}
