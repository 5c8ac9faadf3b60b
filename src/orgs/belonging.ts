import type { Actor } from "../oci/access.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import type { FindAccess } from "./access-lookup.ts";
import { factsOf, principalKey, stands } from "./authorize.ts";
import { decide, type PermissionRules } from "./permissions.ts";

/** Whether the actor is of the organization, or is the user of that name, or oversees everything. */
export type BelongsTo = (actor: Actor, org: string) => Promise<boolean>;

export function createBelongsTo(findAccess: FindAccess): BelongsTo {
  return async (actor, org) => {
    const facts = await findAccess({ ...principalKey(actor), repository: "", namespace: org });
    const { user, robot, orgRole, namespaceExists } = facts;
    if (!namespaceExists || !stands(actor, facts)) return false;
    if (user?.systemAdmin === true || user?.auditor === true || orgRole !== undefined) return true;
    return robot?.org === org || user?.name === org;
  };
}

/** Of these teams (`acme/qa`) those that are not there, or are hidden from the actor. (owner of the rows: teams-store.ts) */
export type FindUnknownTeams = (actor: Actor, teams: readonly string[]) => Promise<readonly string[]>;

export function createFindUnknownTeams(sql: Sql, belongsTo: BelongsTo): FindUnknownTeams {
  return async (actor, teams) => {
    const text = "select org || '/' || name as team from teams where org || '/' || name = any($1::text[])";
    const rows = await sql.query<{ team: string }>("teams-named", text, [teams]);
    const there = new Set(rows.map(({ team }) => team));
    const known = await Promise.all(teams.map((team) => belongsTo(actor, team.slice(0, team.indexOf("/")))));
    return teams.filter((team, index) => !there.has(team) || known[index] !== true);
  };
}

/** Whether the person or robot may sign there, whatever the token at hand names: no token of the registry names that. */
export type MaySign = (actor: Actor, repository: RepositoryName) => Promise<boolean>;

export function createMaySign(findAccess: FindAccess, rules: PermissionRules): MaySign {
  return async (actor, repository) => {
    const facts = await factsOf(findAccess, actor, repository);
    return stands(actor, facts) && decide(repository, "sign", facts, rules).allowed;
  };
}
