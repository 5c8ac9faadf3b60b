import type { Actor } from "../oci/access.ts";
import type { Database } from "../storage/database.ts";
import type { Visibility } from "../storage/repository-store.ts";
import type { FindAccess } from "./access-lookup.ts";
import { factsOf, stands } from "./authorize.ts";

export interface VisibleQuery {
  /** Only those of this user or organization. */
  readonly namespace?: string;
  /** Names after this one, in ASCII order. */
  readonly after: string;
  readonly limit: number;
}

export interface VisibleRepository {
  readonly name: string;
  readonly visibility: Visibility;
}

/** The repositories that somebody may list: exactly those for which the permission rule says so. */
export type ListVisible = (actor: Actor, query: VisibleQuery) => Promise<VisibleRepository[]>;

const IN_PLACE = "r.name > $1 and ($2::text is null or r.namespace = $2)";

/** Where the names of a namespace stand among all names: its own may be the beginning of another's. */
const PLACE = (namespace: string): string => `(${namespace} || '/') collate "C"`;
/** Not all of them are behind $1. */
const AHEAD = (namespace: string): string =>
  `($2::text is null or ${namespace} = $2) and (${namespace} || '0') collate "C" > $1`;

const EVERYTHING = `
  select r.name, r.visibility from repositories r where ${IN_PLACE} order by r.name limit $3`;

/**
 * Each branch reads at most one page from an index, so a page costs the same however many repositories there are:
 * what is public, what is in a namespace that is wholly visible to the user, and what single grants name, of teams or of a robot.
 */
const VISIBLE = `
  with whole as (
    select $4::text as namespace
    union select org from org_members where user_id = $5 and role = 'owner'
    union select tm.org from team_members tm join grants g on g.team_id = tm.team_id
          where tm.user_id = $5 and g.scope_id = 0
  )
  select name, visibility from (
    (select r.name, r.visibility from repositories r
     where ${IN_PLACE} and r.visibility = 'public' order by r.name limit $3)
    union
    (select r.name, r.visibility from (select ${PLACE("namespace")} as place, namespace from whole
       where ${AHEAD("namespace")} order by 1) w cross join lateral (
       select name, visibility from repositories r where ${IN_PLACE} and r.namespace = w.namespace
       order by r.namespace, r.name limit $3
     ) r order by w.place, r.name limit $3)
    union
    (select r.name, r.visibility from (select distinct ${PLACE("org")} as place, org from team_members
       where user_id = $5 and ${AHEAD("org")} order by 1) o cross join lateral (
       select distinct r.name, r.visibility from team_members tm join grants g on g.team_id = tm.team_id
         join repositories r on r.id = g.repository_id
       where tm.user_id = $5 and tm.org = o.org and ${IN_PLACE} order by r.name limit $3
     ) r order by o.place, r.name limit $3)
    union
    (select r.name, r.visibility from robot_grants g join repositories r on r.id = g.repository_id
     where g.robot_id = $6 and 'pull' = any(g.actions) and ${IN_PLACE} order by r.name limit $3)
    union
    (select r.name, r.visibility from robot_grants g cross join lateral (
       select name, visibility from repositories r
       where ${IN_PLACE} and r.name >= g.org || '/' || g.prefix and r.name < g.org || '/' || g.prefix || chr(1114111)
       order by r.name limit $3
     ) r where g.robot_id = $6 and 'pull' = any(g.actions) order by r.name limit $3)
  ) visible order by name limit $3`;

/** (owners of the rows: storage/repository-store.ts and the stores of this room; this only reads.) */
export function createListVisible(database: Database, findAccess: FindAccess): ListVisible {
  return async (actor, { namespace, after, limit }) => {
    const facts = await factsOf(findAccess, actor, "");
    const { user, robot } = stands(actor, facts) ? facts : {};
    const place = [after, namespace ?? null, limit];
    if (user?.systemAdmin === true || user?.auditor === true)
      return database.query<VisibleRepository>("repositories-all", EVERYTHING, place);
    const whom = [user?.name ?? null, user?.id ?? 0, robot?.id ?? 0];
    return database.query<VisibleRepository>("repositories-visible", VISIBLE, [...place, ...whom]);
  };
}
