import type { JsonObject } from "../oci/json.ts";
import { BridgeError } from "./errors.ts";
import { STACK } from "./service-definition.ts";
import type { HeldService } from "./swarm.ts";

/** The labels by which the bridge knows its own. */
export const [ENVIRONMENT_LABEL, INTENT_LABEL] = ["goldseal.environment", "goldseal.intent"] as const;

export interface ServiceOfEnvironment {
  readonly environment: string;
  readonly service: string;
}

export interface ServiceOfStack {
  readonly service: string;
  /** Undefined: it stands alone. */
  readonly stack: string | undefined;
}

export function labelsOf({ spec }: HeldService): JsonObject {
  return (spec.Labels ?? {}) as JsonObject;
}

/** A service of somebody else's, or of another environment, is not touched because of its name. @throws BridgeError SPEC */
export function requireOwn(held: HeldService, { environment, service }: ServiceOfEnvironment): void {
  const owner = labelsOf(held)[ENVIRONMENT_LABEL];
  if (owner === environment) return;
  const whose = owner === undefined ? "was not made by the bridge" : `belongs to ${owner}`;
  throw new BridgeError("SPEC", `there is a service ${service} already, and it ${whose}`);
}

/** A service does not go from one stack to another, or out of one, by an order for another. @throws BridgeError CONFLICT */
export function requireStack(held: HeldService, { service, stack }: ServiceOfStack): void {
  const present = labelsOf(held)[STACK];
  if (present === stack) return;
  const where = present === undefined ? "no stack" : `the stack ${present}`;
  throw new BridgeError("CONFLICT", `there is a service ${service} already, and it is part of ${where}`);
}
