import type { Json } from "../../oci/json.ts";
import type { Outcome } from "../actions.ts";
import { refuse } from "../errors.ts";
import type { Removed } from "./part-removal.ts";
import { isOver, type StackMember } from "./stack-records.ts";

/** By service. */
export type MemberOutcomes = ReadonlyMap<string, Outcome>;

/** What became of each service; the stack failed where one of them did. */
export function toOutcome(stack: string, outcomes: MemberOutcomes, { gone, left }: Removed): Outcome {
  const services = Object.fromEntries(outcomes) as unknown as { readonly [service: string]: Json };
  const failed = [...outcomes].filter(([, { kind }]) => kind !== "deployed");
  if (failed.length === 0) return { kind: "done", stack, services, removed: gone, left };
  const reason = failed.map(([service, outcome]) => `${service}: ${whyOf(outcome)}`).join("; ");
  return { kind: "failed", reason, rolledBackTo: undefined, services };
}

/** Of a service whose intent is brought to its end without whoever asks. */
export function toEnd(end: string, { pinned }: StackMember): Outcome {
  if (end === "converged") return { kind: "deployed", pinned };
  if (!isOver(end)) return refuse("SILENT", "it is not over yet");
  return { kind: "failed", reason: `it ${end} while nobody waited: the journal says why`, rolledBackTo: undefined };
}

export function summarize(outcomes: MemberOutcomes): Record<string, string> {
  return Object.fromEntries([...outcomes].map(([service, { kind }]) => [service, kind]));
}

function whyOf(outcome: Outcome): string {
  if (outcome.kind === "refuse") return outcome.reason;
  if (outcome.kind !== "failed") return outcome.kind;
  const { reason, rolledBackTo } = outcome;
  return rolledBackTo === undefined ? reason : `${reason} (rolled back to ${rolledBackTo})`;
}
