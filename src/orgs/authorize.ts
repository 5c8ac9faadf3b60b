import type { Actor, Authorize } from "../oci/access.ts";
import type { CatalogView } from "../storage/repository-store.ts";
import type { AccessFacts, FindAccess } from "./access-lookup.ts";
import { decide, inScope, type PermissionRules } from "./permissions.ts";

export function createAuthorize(findAccess: FindAccess, rules: PermissionRules): Authorize {
  return async (actor, repository, action) => {
    if (!inScope(actor, repository, action)) return { allowed: false, why: "out-of-scope" };
    const facts = await findAccess({ user: keyOf(actor), repository });
    if (actor.kind === "user" && !stands(actor, facts)) return { allowed: false, why: "hidden" };
    return decide(repository, action, facts, rules);
  };
}

export function createCatalogView(findAccess: FindAccess): (actor: Actor) => Promise<CatalogView> {
  return async (actor) => {
    const facts = await findAccess({ user: keyOf(actor), repository: "" });
    if (actor.kind === "anonymous" || !stands(actor, facts)) return { all: false, ownNamespace: "" };
    return { all: facts.user?.systemAdmin === true, ownNamespace: actor.name };
  };
}

function keyOf(actor: Actor): string {
  return actor.kind === "user" ? actor.name : "";
}

/** Still there, still the same person behind the name, and not suspended. */
function stands(actor: Actor, { user }: AccessFacts): boolean {
  return user !== undefined && user.id === actor.id && !user.suspended;
}
