import type { Request } from "../http/request.ts";
import type { TrustAction } from "../http/route.ts";
import type { RepositoryAction } from "../oci/access.ts";
import { authorityOf, repositoryOfGun } from "../oci/gun.ts";
import { namespaceOf, parseRepositoryName } from "../oci/repository-name.ts";
import type { Confirm, Sql } from "../storage/database.ts";
import { together } from "../storage/statement-batch.ts";
import { readAccess } from "./access-lookup.ts";
import type { AuditWitness } from "./audit-witness.ts";
import { principalKey, stands } from "./authorize.ts";
import { parseAuthorization } from "./credentials.ts";
import { badCredentials, challengeFor, type GateDeps, judge } from "./gate.ts";
import { about, badRestCredentials, isRest, judgeRest, type RestAccess } from "./rest-gate.ts";
import { holdRights, orgLock, userLock } from "./rights-locks.ts";
import { findTeamMember } from "./teams-store.ts";
import { judgeTrust } from "./trust-gate.ts";
import { trustScope } from "./trust-rights.ts";

/**
 * Judges a change once more within its own transaction, by the rights as they are then, and puts it on record there. So a
 * right that was taken back while a body was on its way is gone for that change too, and neither a change nor its
 * record is ever without the other. `action` stands in for the one of the route.
 */
export function createConfirm(deps: GateDeps, witness: Pick<AuditWitness, "record">) {
  return (request: Request, action?: RepositoryAction): Confirm =>
    async (sql) => {
      const { access } = request.route;
      if (access.kind === "repository") await judgePush(sql, deps, request, action ?? access.action);
      else if (access.kind === "trust") await judgePublish(sql, deps, request, access.action);
      else if (isRest(access)) await judgeAgain(sql, deps, request, access);
      await witness.record(sql, request);
    };
}

async function judgePush(sql: Sql, deps: GateDeps, request: Request, action: RepositoryAction): Promise<void> {
  const { actor, route } = request;
  const name = parseRepositoryName(request.param("name"));
  const [, facts] = await together(
    holdRights(sql, { shared: [orgLock(namespaceOf(name)), userLock(actor.name)] }),
    readAccess(sql, { ...principalKey(actor), repository: name }),
  );
  const challenge = () => challengeFor(request, route.access, name);
  if (!stands(actor, facts)) throw badCredentials(deps, credentialsOf(request), challenge());
  const by = actor.scope === undefined ? "password" : "token";
  judge(deps, request, { actor, facts, by, catalog: false }, { name, action, challenge });
}

async function judgePublish(sql: Sql, deps: GateDeps, request: Request, action: TrustAction): Promise<void> {
  const { actor } = request;
  const gun = request.param("gun");
  const repository = repositoryOfGun(gun, authorityOf(deps.challenge.publicUrl));
  if (repository === undefined) throw new Error(`the gate let ${gun} through, which is no GUN of ours`);
  const [, facts] = await together(
    holdRights(sql, { shared: [orgLock(namespaceOf(repository)), userLock(actor.name)] }),
    readAccess(sql, { ...principalKey(actor), repository }),
  );
  const challenge = { scope: trustScope(gun, action) };
  if (!stands(actor, facts)) throw badCredentials(deps, credentialsOf(request), challenge);
  const by = actor.scope === undefined ? "password" : "token";
  judgeTrust(deps, request, { actor, facts, by, catalog: false }, { gun, repository, action, challenge });
}

async function judgeAgain(sql: Sql, { rules }: GateDeps, request: Request, access: RestAccess): Promise<void> {
  const { actor } = request;
  const [, facts] = await together(
    holdRights(sql, { alone: [changedBy(request)], shared: [userLock(actor.name)] }),
    readAccess(sql, { ...principalKey(actor), ...about(request, access) }),
  );
  if (!stands(actor, facts)) throw badRestCredentials(credentialsOf(request));
  await judgeRest({ actor, facts }, request, { access, rules, findTeamMember: (where) => findTeamMember(sql, where) });
}

/** Whose rights a request to REST may change: by its path an organization's, a user's, or the sender's own. */
function changedBy(request: Request): string {
  const { path } = request.route;
  if (path.includes("<org>")) return orgLock(request.param("org"));
  return userLock(path.includes("<user>") ? request.param("user") : request.actor.name);
}

function credentialsOf(request: Request) {
  return parseAuthorization(request.headerAll("authorization"));
}
