import type { JsonObject } from "../oci/json.ts";
import type { Verdict, Via } from "./permissions.ts";

/** The rule path as the audit keeps it and REST answers it. */
export function toJson({ level, via, ...decision }: Verdict): JsonObject {
  return { ...decision, level: level ?? null, via: via.map(viaToJson) };
}

function viaToJson(via: Via): JsonObject {
  return { ...via, says: describeVia(via) };
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
