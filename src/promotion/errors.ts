import { ProblemError } from "../http/problem.ts";
import type { GateVerdict } from "./deps.ts";
import type { NewPromotion } from "./promotions-store.ts";

export function alreadyAsked({ source, destination, tag }: NewPromotion, cause: unknown): ProblemError {
  const message = `a promotion of this image from ${source} to ${destination}:${tag} waits for its approvals already`;
  return new ProblemError(409, "already-asked", message, { cause });
}

export function gatesNotMet(verdicts: readonly GateVerdict[]): ProblemError {
  const missing = verdicts
    .filter(({ allowed }) => !allowed)
    .flatMap((one) => one.missing.map((why) => `${one.gate}: ${why}`));
  return new ProblemError(409, "gates-not-met", missing.join("; ") || "the image does not meet what is asked of it");
}

/** A promotion or policy is not what somebody takes it for by now. */
export function conflict(code: string, message: string): ProblemError {
  return new ProblemError(409, code, message);
}
