import type { Actor, Authorize, ListableLives } from "../oci/access.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { AccessFacts, AccessKey, FindAccess } from "./access-lookup.ts";
import { decide, inScope, type PermissionRules, type Via } from "./permissions.ts";

export function createAuthorize(findAccess: FindAccess, rules: PermissionRules): Authorize {
  return async (actor, repository, action) => {
    const facts = await factsOf(findAccess, actor, repository);
    if (!inScope(actor, { repository, action, ...facts })) return { allowed: false, why: "out-of-scope" };
    if (!stands(actor, facts)) return { allowed: false, why: "hidden" };
    return decide(repository, action, facts, rules);
  };
}

/** Which of the repositories the actor may list; what a token names does not matter, as for the catalog. */
export type Listable = (actor: Actor, names: readonly RepositoryName[]) => Promise<ListableLives>;

export function createListable(findAccess: FindAccess, rules: PermissionRules): Listable {
  return async (actor, names) => {
    const shown = new Map<RepositoryName, number | "all">();
    const look = async (name: RepositoryName): Promise<void> => {
      const facts = await factsOf(findAccess, actor, name);
      const verdict = decide(name, "list", facts, rules);
      if (!stands(actor, facts) || !verdict.allowed) return;
      shown.set(name, verdict.via.some(seesEverything) ? "all" : facts.nameEpoch);
    };
    await Promise.all(names.map(look));
    return shown;
  };
}

function seesEverything({ kind }: Via): boolean {
  return kind === "system-admin" || kind === "auditor";
}

export function factsOf(findAccess: FindAccess, actor: Actor, repository: RepositoryName | ""): Promise<AccessFacts> {
  return findAccess({ ...principalKey(actor), repository });
}

export function principalKey({ kind, name, credential }: Actor): Pick<AccessKey, "user" | "credential"> {
  return { user: kind === "anonymous" ? "" : name, credential };
}

/** Still there, still the same behind the name, not suspended, and what they signed in with not changed or taken back. */
export function stands({ kind, id, credential, epoch }: Actor, { user, robot, credentialGood }: AccessFacts): boolean {
  if (kind === "anonymous") return true;
  if (kind === "robot") return robot?.id === id && credentialGood;
  if (user?.id !== id || user.suspended || (epoch !== undefined && user.tokenEpoch !== epoch)) return false;
  return credential === undefined || credentialGood;
}
