import type { RepositoryAction } from "../oci/access.ts";
import type { JsonObject } from "../oci/json.ts";
import type { Verdict, Via } from "./permissions.ts";

/** The rule path as the audit keeps it and REST answers it. */
export function toJson({ level, via, ...decision }: Verdict): JsonObject {
  return { ...decision, level: level ?? null, via: via.map(viaToJson) };
}

function viaToJson(via: Via): JsonObject {
  return { ...via, says: describeVia(via) };
}

export interface Matter {
  readonly user: string;
  readonly action: RepositoryAction;
  readonly repository: string;
}

/** What a team must be given for an action, in words. */
const NEEDS: Readonly<Record<RepositoryAction, string>> = {
  list: "read-only",
  pull: "read-only",
  push: "read-write",
  untag: "read-write",
  delete: "the extra right delete, or admin",
  sign: "the extra right sign, or admin",
  promote: "the extra right promote, or admin",
  admin: "admin",
  create: "admin on the whole organization",
};

export const ACTIONS = Object.keys(NEEDS) as RepositoryAction[];

/** The whole verdict in one or two sentences: what, why, and what would change it. */
export function describeVerdict({ user, action, repository }: Matter, verdict: Verdict): string {
  const reasons = verdict.via.map(describeVia).join("; ");
  if (verdict.allowed) return `${user} may ${action} ${repository}: ${reasons}`;
  if (verdict.why === "no-namespace") {
    return `${user} may not ${action} ${repository}: there is no such user or organization yet, and a push makes none`;
  }
  const what = `${user} may not ${action} ${repository}`;
  const next = `a team with ${NEEDS[action]} would let ${user}`;
  if (verdict.why === "hidden") {
    const has = reasons === "" ? "no rule gives any right here" : `what there is does not show it: ${reasons}`;
    return `${what}: ${has}, so it looks as if there were no such repository; ${next}`;
  }
  return `${what}: ${reasons === "" ? "no rule gives that" : `all there is: ${reasons}`}; ${next}`;
}

/** One reason in words. */
export function describeVia(via: Via): string {
  switch (via.kind) {
    case "system-admin":
      return "is a system administrator";
    case "auditor":
      return "is an auditor: sees everything, fetches and changes nothing";
    case "own-namespace":
      return "it is the user's own namespace";
    case "org-owner":
      return `is an owner of ${via.org}`;
    case "grant": {
      const extra = via.extra.length === 0 ? "" : ` and ${via.extra.join(", ")}`;
      return `is in team ${via.org}/${via.team}, which has ${via.level}${extra} on ${whole(via.org, via.scope)}`;
    }
    case "robot":
      return `is a robot of ${via.org} that may ${via.actions.join(", ")} in ${whole(via.org, via.scope)}`;
    case "public":
      return "the repository is public";
  }
}

function whole(org: string, scope: string): string {
  return scope === "*" ? `every repository of ${org}` : scope;
}
