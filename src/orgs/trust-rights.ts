import type { TrustAction } from "../http/route.ts";
import type { Actor, RepositoryAction } from "../oci/access.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { AccessFacts } from "./access-lookup.ts";
import { decide, type PermissionRules, type Verdict } from "./permissions.ts";

export const TRUST_ACTIONS = ["pull", "sign", "admin"] as const satisfies readonly TrustAction[];

/** What a token for `repository:<gun>:…` calls it; `*` stands for all of them. */
export const TRUST_TOKEN_ACTION: Readonly<Record<TrustAction, string>> = { pull: "pull", sign: "push", admin: "*" };

/** What a challenge asks for, so that one token does for a whole publish. */
const SCOPE_ACTIONS: Readonly<Record<TrustAction, string>> = { pull: "pull", sign: "push,pull", admin: "*" };

export function trustScope(gun: string, action: TrustAction): string {
  return `repository:${gun}:${SCOPE_ACTIONS[action]}`;
}

/** A first publish makes the repository, so it takes the right of a first push too. */
export function decideTrust(
  repository: RepositoryName,
  action: TrustAction,
  facts: AccessFacts,
  rules: PermissionRules,
): Verdict {
  const verdict = decide(repository, action, facts, rules);
  const makes: RepositoryAction | undefined =
    action === "sign" && facts.repositoryId === undefined ? "create" : undefined;
  return makes === undefined || !verdict.allowed ? verdict : decide(repository, makes, facts, rules);
}

/** Whether the token that `actor` came with (if any) names `action` on this GUN, and was meant for this repository. */
export function isInTrustScope({ scope }: Actor, gun: string, action: TrustAction, nameEpoch: number): boolean {
  if (scope === undefined) return true;
  const named = scope.get(gun);
  if (named === undefined || named.epoch !== nameEpoch) return false;
  return named.actions.has("*") || named.actions.has(TRUST_TOKEN_ACTION[action]);
}
