import type { Actor, Authorize } from "../oci/access.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { AccessFacts, FindAccess } from "./access-lookup.ts";
import { decide, inScope, type PermissionRules } from "./permissions.ts";

export function createAuthorize(findAccess: FindAccess, rules: PermissionRules): Authorize {
  return async (actor, repository, action) => {
    if (!inScope(actor, repository, action)) return { allowed: false, why: "out-of-scope" };
    const facts = await factsOf(findAccess, actor, repository);
    if (!stands(actor, facts)) return { allowed: false, why: "hidden" };
    return decide(repository, action, facts, rules);
  };
}

export function factsOf(findAccess: FindAccess, actor: Actor, repository: RepositoryName | ""): Promise<AccessFacts> {
  return findAccess({ user: actor.kind === "user" ? actor.name : "", repository });
}

/** Still there, still the same behind the name, and not suspended. */
export function stands(actor: Actor, { user }: AccessFacts): boolean {
  if (actor.kind === "anonymous") return true;
  return user !== undefined && user.id === actor.id && !user.suspended;
}
