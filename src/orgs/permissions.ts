import type { Actor, Decision, RepositoryAction } from "../oci/access.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { AccessFacts } from "./access-lookup.ts";

export interface PermissionRules {
  /** Whether those who do not sign in may pull what is public. */
  readonly anonymous: boolean;
  /** The user that the cluster's bridge signs in as; undefined: there is none. */
  readonly bridgeAccount?: string | undefined;
}

/** Highest last. */
export const LEVELS = ["read-only", "read-write", "admin"] as const;
export type Level = (typeof LEVELS)[number];
export const EXTRAS = ["sign", "promote", "delete"] as const;
export type Extra = (typeof EXTRAS)[number];
/** What a robot can be let do; `delete` includes deleting tags. */
export const ROBOT_ACTIONS = ["pull", "push", "delete", "sign", "promote", "create"] as const;
export type RobotAction = (typeof ROBOT_ACTIONS)[number];

/** What a team may do: in one repository, or (`scope` "*") in every one of the organization. */
export interface TeamGrant {
  readonly team: string;
  /** The repository's name, or `*`. */
  readonly scope: string;
  readonly level: Level;
  readonly extra: readonly Extra[];
}

export interface RobotGrant {
  /** The repository's name, or the beginning of names and `*`. */
  readonly scope: string;
  readonly actions: readonly RobotAction[];
}

/** One reason why somebody may do something. */
export type Via =
  | { readonly kind: "system-admin" }
  | { readonly kind: "auditor" }
  | { readonly kind: "own-namespace" }
  | { readonly kind: "org-owner"; readonly org: string }
  | ({ readonly kind: "grant"; readonly org: string } & TeamGrant)
  | ({ readonly kind: "robot"; readonly org: string } & RobotGrant)
  | { readonly kind: "public" };

export interface Right {
  readonly via: Via;
  readonly actions: ReadonlySet<RepositoryAction>;
}

export type Verdict = Decision & {
  /** The highest that any reason gives; undefined for none (an auditor, a robot). */
  readonly level: Level | undefined;
  /** Allowed: the reasons that give the action. Refused: those that give something, but not this. */
  readonly via: readonly Via[];
};

const READ: readonly RepositoryAction[] = ["list", "pull"];
const WRITE: readonly RepositoryAction[] = [...READ, "push", "untag"];
const ADMIN: readonly RepositoryAction[] = [...WRITE, "delete", "sign", "promote", "admin"];
const LEVEL_ACTIONS: Readonly<Record<Level, readonly RepositoryAction[]>> = {
  "read-only": READ,
  "read-write": WRITE,
  admin: ADMIN,
};
/** Deleting a manifest takes its tags along, so whoever may do that may also delete a tag alone. */
const EXTRA: Readonly<Record<Extra, readonly RepositoryAction[]>> = {
  sign: ["sign"],
  promote: ["promote"],
  delete: ["untag", "delete"],
};
const ROBOT: Readonly<Record<RobotAction, readonly RepositoryAction[]>> = {
  pull: READ,
  push: ["push"],
  ...EXTRA,
  create: ["create"],
};

const EVERYTHING: ReadonlySet<RepositoryAction> = new Set([...ADMIN, "create"]);
const PULL: ReadonlySet<RepositoryAction> = new Set(READ);
const LIST: ReadonlySet<RepositoryAction> = new Set(["list"]);

/** Every reason why whom `facts` are about may do something to `repository`, whether or not it exists. */
export function rightsOn(repository: RepositoryName, facts: AccessFacts, rules: PermissionRules): Right[] {
  const { user, robot, visibility } = facts;
  const rights: Right[] = [];
  const isPublic = visibility === "public";
  // An auditor's account holds no content, so publicness alone gives it none; teams of an auditor still do.
  if (isPublic && user?.auditor !== true && (user !== undefined || robot !== undefined || rules.anonymous))
    rights.push({ via: { kind: "public" }, actions: PULL });
  if (robot !== undefined) rights.push(...robotRights(robot.org, facts));
  if (user === undefined) return rights;
  const namespace = namespaceOf(repository);
  if (user.auditor) rights.push({ via: { kind: "auditor" }, actions: LIST });
  rights.push(...grantRights(namespace, facts));
  if (facts.orgRole === "owner") rights.push({ via: { kind: "org-owner", org: namespace }, actions: EVERYTHING });
  if (namespace === user.name) rights.push({ via: { kind: "own-namespace" }, actions: EVERYTHING });
  if (user.systemAdmin) rights.push({ via: { kind: "system-admin" }, actions: EVERYTHING });
  return rights;
}

function grantRights(org: string, { grants }: AccessFacts): Right[] {
  return grants.map((grant) => {
    const actions = new Set<RepositoryAction>([
      ...LEVEL_ACTIONS[grant.level],
      ...grant.extra.flatMap((extra) => EXTRA[extra]),
    ]);
    // Admin of the whole organization is what lets a team make repositories.
    if (grant.scope === "*" && grant.level === "admin") actions.add("create");
    return { via: { kind: "grant", org, ...grant }, actions };
  });
}

function robotRights(org: string, { robotGrants }: AccessFacts): Right[] {
  return robotGrants.map((grant) => ({
    via: { kind: "robot", org, ...grant },
    actions: new Set(grant.actions.flatMap((action) => ROBOT[action])),
  }));
}

/** No repository has this name, so that only what is given on a whole organization counts for it. */
export function everythingIn(org: string): RepositoryName {
  return `${org}/*` as RepositoryName;
}

/** Who may not even list must not learn whether there is such a repository: that is `hidden`, for every action. */
export function decide(
  repository: RepositoryName,
  action: RepositoryAction,
  facts: AccessFacts,
  rules: PermissionRules,
): Verdict {
  const rights = rightsOn(repository, facts, rules);
  const level = highestLevel(rights);
  // To push where nothing is means to make it.
  const needed = action === "push" && facts.repositoryId === undefined ? "create" : action;
  const giving = rights.filter(({ actions }) => actions.has(needed));
  if (giving.length === 0) {
    const why = rights.some(({ actions }) => actions.has("list")) ? "denied" : "hidden";
    return { allowed: false, why, level, via: rights.map(({ via }) => via) };
  }
  const via = giving.map((right) => right.via);
  if (needed === "create" && !facts.namespaceExists) return { allowed: false, why: "no-namespace", level, via };
  return { allowed: true, level, via };
}

function highestLevel(rights: readonly Right[]): Level | undefined {
  return LEVELS.findLast((level) =>
    rights.some(
      ({ via, actions }) => via.kind !== "robot" && LEVEL_ACTIONS[level].every((action) => actions.has(action)),
    ),
  );
}

/**
 * The action that a token must name; deleting a tag is not pushing (a `pull,push` token deletes nothing). No token of
 * the registry's own scopes opens what is undefined here.
 */
export const TOKEN_ACTION: Readonly<Record<RepositoryAction, string | undefined>> = {
  list: "pull",
  pull: "pull",
  push: "push",
  create: "push",
  untag: "delete",
  delete: "delete",
  sign: undefined,
  promote: undefined,
  admin: "*",
};

export interface Target {
  readonly repository: RepositoryName;
  readonly action: RepositoryAction;
  /** Of the repository's name, as it is now. */
  readonly nameEpoch: number;
}

/** Whether the token that `actor` came with (if any) names `action` on this very repository. */
export function inScope({ scope }: Actor, { repository, action, nameEpoch }: Target): boolean {
  if (scope === undefined) return true;
  const wanted = TOKEN_ACTION[action];
  const named = scope.get(repository);
  if (wanted === undefined || named === undefined || named.epoch !== nameEpoch) return false;
  return named.actions.has("*") || named.actions.has(wanted);
}
