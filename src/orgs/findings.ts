import type { Request } from "../http/request.ts";
import type { JsonObject } from "../oci/json.ts";
import type { AuditEntry } from "./audit-store.ts";

/** Something that is for the record and that no request changed. */
export interface Finding {
  readonly at: Date;
  readonly action: string;
  /** A repository, unless a namespace says whose it is. */
  readonly target: string;
  /** Empty: nobody's but the installation's. */
  readonly namespace?: string;
  readonly detail: JsonObject;
}

/** With the request that came upon it, where there is one; else the server itself did. */
export function toEntry(
  { at, action, target, namespace = target.split("/", 1)[0] ?? "", detail }: Finding,
  request?: Request,
): AuditEntry {
  return {
    ...{ at, action, target, namespace, detail, outcome: "done", decisionId: undefined },
    actor: request?.actor.name ?? "goldseal",
    actorId: request?.actor.id ?? 0,
    source: request?.clientAddress ?? "",
    requestId: request?.id ?? "",
  };
}
