import type { JsonObject } from "../../oci/json.ts";
import type { Ordered } from "../actions.ts";
import { BridgeError } from "../errors.ts";
import { ENVIRONMENT_LABEL } from "../managed-service.ts";
import type { Target } from "./change-journal.ts";

/**
 * The one that is meant: the bridge made it, for the environment of the order.
 * @param found all that have the name
 * @throws BridgeError MISSING; SPEC for somebody else's
 */
export function requireOwn(
  { kind, name }: Target,
  found: readonly JsonObject[],
  labelsOf: (one: JsonObject) => Readonly<Record<string, string>>,
  { environment }: Pick<Ordered, "environment">,
): JsonObject {
  const own = found.find((one) => labelsOf(one)[ENVIRONMENT_LABEL] === environment);
  const [first] = found;
  if (first === undefined) throw new BridgeError("MISSING", `the cluster has no ${kind} ${name}`);
  if (own !== undefined) return own;
  const owner = labelsOf(first)[ENVIRONMENT_LABEL];
  const whose = owner === undefined ? "was not made by the bridge" : `belongs to ${owner}`;
  throw new BridgeError("SPEC", `the ${kind} ${name} ${whose}`);
}
