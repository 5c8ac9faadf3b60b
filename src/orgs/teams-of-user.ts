import type { Sql } from "../storage/database.ts";

/**
 * The teams that a user is in now, `org/team`; none for one who is suspended. (owner of the rows: teams-store.ts; this only
 * reads)
 */
export async function findTeamsOfUser(sql: Sql, userId: number): Promise<ReadonlySet<string>> {
  const rows = await sql.query<{ team: string }>(
    "teams-of-user",
    `select t.org || '/' || t.name as team from team_members m join teams t on t.id = m.team_id
     join users u on u.id = m.user_id where m.user_id = $1 and not u.suspended`,
    [userId],
  );
  return new Set(rows.map(({ team }) => team));
}
