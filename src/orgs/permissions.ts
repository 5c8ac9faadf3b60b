import type { Actor, Decision, RepositoryAction } from "../oci/access.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { AccessFacts } from "./access-lookup.ts";

export interface PermissionRules {
  /** Whether those who do not sign in may pull what is public. */
  readonly anonymous: boolean;
}

const EVERYTHING: ReadonlySet<RepositoryAction> = new Set(["pull", "push", "untag", "delete", "admin"]);
const PULL: ReadonlySet<RepositoryAction> = new Set(["pull"]);
const NOTHING: ReadonlySet<RepositoryAction> = new Set();

/** What `user` (undefined: anonymous) may do to `repository`, whether or not it exists. */
function rightsOn(repository: RepositoryName, { user, visibility }: AccessFacts, rules: PermissionRules) {
  if (user !== undefined && (user.systemAdmin || namespaceOf(repository) === user.name)) return EVERYTHING;
  if (visibility === "public" && (user !== undefined || rules.anonymous)) return PULL;
  return NOTHING;
}

/** Who may not pull must not learn whether there is such a repository: that is `hidden`, for every action. */
export function decide(
  repository: RepositoryName,
  action: RepositoryAction,
  facts: AccessFacts,
  rules: PermissionRules,
): Decision {
  const rights = rightsOn(repository, facts, rules);
  if (rights.has(action)) return { allowed: true };
  return { allowed: false, why: rights.has("pull") ? "denied" : "hidden" };
}

/** The action that a token must name; deleting a tag is not pushing (a `pull,push` token deletes nothing). */
export const TOKEN_ACTION: Readonly<Record<RepositoryAction, string>> = {
  pull: "pull",
  push: "push",
  untag: "delete",
  delete: "delete",
  admin: "*",
};

/** Whether the token that `actor` came with (if any) names `action` on `repository`. */
export function inScope({ scope }: Actor, repository: RepositoryName, action: RepositoryAction): boolean {
  if (scope === undefined) return true;
  const actions = scope.get(repository);
  return actions !== undefined && (actions.has("*") || actions.has(TOKEN_ACTION[action]));
}
