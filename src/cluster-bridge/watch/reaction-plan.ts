import { sha256Of } from "../../notary/tuf/signed-file.ts";
import type { Json } from "../../oci/json.ts";
import type { OnTrustLost, PolicyDocument } from "../../trust/policy-document.ts";
import type { Reaction, ServiceReaction } from "./reactions.ts";
import type { Judged } from "./watch.ts";

export interface PlanOptions {
  readonly at: Date;
  readonly whyFrozen: (service: string) => string | undefined;
}

/** Nothing is done about what was seen only once. */
const TWICE_MS = 1_500;
const ROUNDS = 2;
/** A task that no manager knows may be one of a service that is being removed. */
const CLAIM_MS = 30_000;

type Service = Judged["services"][number];
type Container = Judged["containers"][number];

/** What the policy wants to be done about what is there: certain findings alone, seen twice. */
export function findReactions(judged: Judged, policy: PolicyDocument, options: PlanOptions): Reaction[] {
  return [
    ...judged.services.flatMap((service) => ofService(service, policy, options) ?? []),
    ...judged.containers.flatMap((container) => ofContainer(container, policy, options) ?? []),
  ];
}

function ofService(service: Service, policy: PolicyDocument, { at, whyFrozen }: PlanOptions): Reaction | undefined {
  const { seen, ordered, state, reason, since } = service;
  if (at.getTime() - since.getTime() < TWICE_MS) return undefined;
  const about = { kind: "service" as const, name: seen.name, seen, ordered, reason };
  const key = (action: string) => `service ${seen.id} ${action} ${hashOf(seen.spec)}`;
  if (state === "unmanaged" && ordered === undefined) {
    if (!isRemovedEverywhere(policy)) return undefined;
    return { ...about, key: key("remove"), action: "remove", scope: undefined };
  }
  const mode = policy.environments.get(ordered?.environment ?? "")?.onTrustLost ?? "alert";
  const action = actionOn(service, mode, whyFrozen(seen.name) !== undefined);
  return action && { ...about, key: key(action), action, scope: `service ${seen.name}` };
}

/** Only what those say whose word counts, and said again. */
function actionOn(
  { state, standing }: Service,
  mode: OnTrustLost,
  isFrozen: boolean,
): ServiceReaction["action"] | undefined {
  const isSaid = standing !== undefined && standing.rounds >= ROUNDS;
  if (!isSaid || standing.kind === "unknown") return undefined;
  const isLost = standing.kind === "lost";
  const isOther = state === "drifted" || state === "unmanaged";
  if (isFrozen && (mode !== "freeze" || state === "trusted")) return "thaw";
  if (mode === "alert" || state === "trusted") return undefined;
  if (mode === "freeze" && isLost && !isFrozen) return "freeze";
  if (isOther && !isLost) return "restore";
  if (mode === "freeze") return isOther ? "scale-back" : undefined;
  return isLost ? mode : undefined;
}

/** Its service is looked at by itself; here is what only this container has. */
function ofContainer(container: Container, policy: PolicyDocument, { at }: PlanOptions): Reaction | undefined {
  const { seen, service, environment, state, reason, since, isAltered } = container;
  const about = { kind: "container" as const, name: seen.name, seen, reason, key: `container ${seen.id} ${state}` };
  const ageMs = at.getTime() - since.getTime();
  if (state === "unmanaged" && service === undefined) {
    const isDue = ageMs >= (seen.claimsService === undefined ? TWICE_MS : CLAIM_MS);
    return isDue && isRemovedEverywhere(policy) ? { ...about, action: "remove", scope: undefined } : undefined;
  }
  const mode = policy.environments.get(environment ?? "")?.onTrustLost;
  if (!isAltered || ageMs < TWICE_MS || (mode !== "replace" && mode !== "remove")) return undefined;
  return { ...about, action: "remove-with-image", scope: `${service?.name} on ${seen.node}` };
}

/** Nodes serve all environments. */
function isRemovedEverywhere({ environments }: PolicyDocument): boolean {
  return environments.size > 0 && [...environments.values()].every(({ onUnmanaged }) => onUnmanaged === "remove");
}

const hashOf = (value: Json): string => sha256Of(Buffer.from(JSON.stringify(value))).toString("hex");
