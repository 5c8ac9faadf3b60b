/** A large installation: 200 organizations, 10,000 users, 2,000 teams, 100,000 repositories. */
import type { Server } from "../servers.ts";
import { withDatabase } from "./database.ts";

export const SIZES = { orgs: 200, users: 10_000, teams: 2_000, repositories: 100_000 } as const;

/** One repository in ten is public; a team reaches twenty of its organization's repositories, one in ten all of them. */
const STATEMENTS = [
  `insert into namespaces (name, kind) select 'org' || lpad(n::text, 4, '0'), 'org' from generate_series(0, ${SIZES.orgs - 1}) n`,
  `insert into namespaces (name, kind) select 'user' || lpad(n::text, 6, '0'), 'user' from generate_series(0, ${SIZES.users - 1}) n`,
  `insert into users (name, password_hash)
   select name, (select password_hash from users limit 1) from namespaces where name ~ '^user[0-9]{6}$'`,
  `insert into repositories (name, namespace, visibility)
   select o || '/' || 'app' || lpad(n::text, 6, '0'), o, case when n % 10 = 0 then 'public' else 'private' end
   from (select n, 'org' || lpad((n % ${SIZES.orgs})::text, 4, '0') o
         from generate_series(0, ${SIZES.repositories - 1}) n) s order by md5(n::text)`,
  `insert into teams (org, name) select 'org' || lpad((n % ${SIZES.orgs})::text, 4, '0'), 'team' || lpad(n::text, 5, '0')
   from generate_series(0, ${SIZES.teams - 1}) n`,
  // The first of the users is in a team of every organization, the others in one or two.
  `insert into org_members (org, user_id, role)
   select 'org' || lpad(((row_number() over (order by name) * 7 + k) % ${SIZES.orgs})::text, 4, '0'), id, 'member'
   from users cross join generate_series(0, 1) k where name ~ '^user[0-9]{6}$' on conflict do nothing`,
  `insert into org_members (org, user_id, role)
   select n.name, u.id, 'member' from namespaces n, users u where n.kind = 'org' and u.name = 'user000000'
   on conflict do nothing`,
  `insert into team_members (team_id, org, user_id)
   select t.id, t.org, m.user_id from org_members m join teams t on t.org = m.org
   where (t.id + m.user_id) % 5 = 0 on conflict do nothing`,
  `insert into team_members (team_id, org, user_id)
   select min(t.id), t.org, u.id from teams t, users u where u.name = 'user000000' group by t.org, u.id
   on conflict do nothing`,
  `insert into grants (team_id, org, repository_id, level)
   select t.id, t.org, r.id, 'read-write' from teams t cross join lateral (
     select id from repositories r where r.namespace = t.org order by md5(r.name || t.name) limit 20) r`,
  `insert into grants (team_id, org, level) select id, org, 'read-only' from teams where id % 10 = 0`,
  "analyze",
];

/** Names that the catalog must show to a user, in its order: the rule written once more, without pages. */
const VISIBLE = `
  with who as (select id, name from users where name = $1),
    granted as (select g.org, g.repository_id from team_members tm join grants g using (team_id), who where tm.user_id = who.id)
  select name from (
    select name from repositories where visibility = 'public'
    union select r.name from repositories r join who on r.namespace = who.name
    union select r.name from repositories r join org_members m on m.org = r.namespace, who
      where m.user_id = who.id and m.role = 'owner'
    union select r.name from repositories r join granted g on g.repository_id = r.id
    union select r.name from repositories r join granted g on g.org = r.namespace where g.repository_id is null
  ) v order by name collate "C"`;

export async function seedInstallation(server: Server): Promise<void> {
  await withDatabase(server, async (client) => {
    for (const statement of STATEMENTS) await client.query(statement);
  });
}

export interface Viewer {
  readonly name: string;
  readonly teams: number;
  readonly visible: readonly string[];
}

export async function findViewer(server: Server, name: string): Promise<Viewer> {
  return withDatabase(server, async (client) => {
    const teams = await client.query(
      "select count(*)::int as n from team_members where user_id = (select id from users where name = $1)",
      [name],
    );
    const { rows } = await client.query<{ name: string }>(VISIBLE, [name]);
    return { name, teams: teams.rows[0].n, visible: rows.map((row) => row.name) };
  });
}
