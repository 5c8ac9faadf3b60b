import type { State } from "../cluster-states.ts";
import type { Deployment, Ledger } from "../ledger.ts";
import { INTENT_LABEL } from "../managed-service.ts";
import { findDifference } from "../same-definition.ts";
import type { SeenService, Sight } from "./lookout.ts";
import { keyOf, type SeenContainer } from "./node-looks.ts";
import type { Placed, Standing } from "./standings.ts";

export interface Finding {
  readonly state: State;
  /** A sentence; where it is `trusted` mostly empty. */
  readonly reason: string;
  /** Of what was ordered, where it is known what that is. */
  readonly standing: Standing | undefined;
}

export interface JudgedService extends Finding {
  readonly seen: SeenService;
  /** What it should be; undefined: the bridge never made it. */
  readonly ordered: Deployment | undefined;
}

export interface JudgedContainer extends Finding {
  readonly seen: SeenContainer;
  /** Undefined: of none that a manager knows. */
  readonly service: { readonly id: string; readonly name: string } | undefined;
  readonly environment: string | undefined;
  /** It was made of other bytes than its image stands for. */
  readonly isAltered: boolean;
}

export interface JudgingDeps {
  readonly ledger: Pick<Ledger, "isEmpty" | "find" | "everOf" | "inForce" | "identitiesOf">;
  readonly standingOf: (placed: Placed) => Standing;
  /** What each service might be when the look began: an order may have been carried out since. */
  readonly inForceBefore: (service: string) => readonly Deployment[];
  /** By `node/container`: also of services that are gone, whose containers are still being stopped. */
  readonly members: ReadonlyMap<string, { readonly id: string; readonly name: string }>;
  /** Whether this container was seen for the first time just now. */
  readonly isNew: (key: string) => boolean;
}

/** As if on paper: nothing is asked of anybody. */
export function judgeSight(
  sight: Sight,
  deps: JudgingDeps,
): { readonly services: JudgedService[]; readonly containers: JudgedContainer[] } {
  const services = sight.services.map((service) => judgeService(service, deps));
  const byId = new Map(services.map((judged) => [judged.seen.id, judged]));
  return { services, containers: sight.containers.map((container) => judgeContainer(container, byId, deps)) };
}

const TRUSTED: Finding = { state: "trusted", reason: "", standing: undefined };
const STATES = { trusted: "trusted", lost: "trust-lost", unknown: "unknown" } as const;

const found = (state: State, reason: string): Finding => ({ ...TRUSTED, state, reason });
const toFinding = (standing: Standing): Finding => ({
  state: STATES[standing.kind],
  reason: standing.reason,
  standing,
});

function judgeService(seen: SeenService, { ledger, standingOf, inForceBefore }: JudgingDeps): JudgedService {
  const named = ledger.find(String(seen.labels[INTENT_LABEL] ?? ""));
  const possible = [...ledger.inForce(seen.name), ...inForceBefore(seen.name)];
  const [ordered] = possible;
  // The bridge lost its store: it may have made it.
  if (seen.labels[INTENT_LABEL] !== undefined && ledger.isEmpty())
    return { seen, ordered: undefined, ...found("unknown", "the journal says of no deployment at all") };
  if (named === undefined || named.service !== seen.name || ordered === undefined)
    return { seen, ordered: undefined, ...found("unmanaged", "the bridge did not make it") };
  const own = possible.find(({ id }) => id === named.id);
  const difference = own && findDifference(own.definition, seen.spec);
  if (own !== undefined && difference === undefined) return { seen, ordered: own, ...toFinding(standingOf(own)) };
  const finding = own
    ? found("drifted", `somebody changed ${difference}`)
    : found("unmanaged", `it was put back by hand to an earlier order, ${named.pinned}`);
  return { seen, ordered, ...finding, standing: standingOf(ordered) };
}

function judgeContainer(
  seen: SeenContainer,
  services: ReadonlyMap<string, JudgedService>,
  deps: JudgingDeps,
): JudgedContainer {
  const service = deps.members.get(keyOf(seen.node, seen.id));
  const common = { seen, service, environment: undefined, isAltered: false };
  if (service === undefined) return { ...common, ...judgeStranger(seen, deps) };
  const its = services.get(service.id);
  if (its !== undefined && its.ordered === undefined && its.state === "unknown")
    return { ...common, ...found("unknown", its.reason) };
  const told = deps.ledger.everOf(service.name).filter(({ definition }) => definition !== undefined);
  if ((its !== undefined && its.ordered === undefined) || told.length === 0) {
    const finding = found("unmanaged", `it is of the service ${service.name}, which the bridge did not make`);
    return { ...common, ...finding };
  }
  const ordered = told.findLast(({ pinned }) => pinned === seen.image);
  const environment = ordered?.environment ?? told.at(-1)?.environment;
  if (ordered === undefined)
    return { ...common, environment, ...found("drifted", `it runs ${seen.image}, never ordered as ${service.name}`) };
  return { ...common, environment, ...judgeTask(seen, ordered, deps) };
}

function judgeStranger(seen: SeenContainer, { isNew }: JudgingDeps): Finding {
  if (seen.claimsService === undefined) return found("unmanaged", "it was started on the node itself");
  // Managers hear of a task's container a moment after it runs.
  if (isNew(keyOf(seen.node, seen.id))) return found("unknown", "it was started just now");
  return found("unmanaged", "it says that it is a task of the Swarm, and no manager knows of it");
}

function judgeTask(
  { image, imageId }: SeenContainer,
  ordered: Deployment,
  { ledger, standingOf }: JudgingDeps,
): Finding & { readonly isAltered: boolean } {
  const identities = ledger.identitiesOf(ordered.pinned);
  if (identities === undefined)
    return { ...found("unknown", "the journal does not say what its image is made of"), isAltered: false };
  const isKnown = identities.digests.includes(imageId);
  if (!isKnown && identities.isPartial)
    return { ...found("unknown", "the registry did not have all of its image when it was deployed"), isAltered: false };
  // The same reference, other bytes: somebody changed the node's own copy.
  if (!isKnown)
    return { ...found("drifted", `${image} on this node is ${imageId}, which is something else`), isAltered: true };
  return { ...toFinding(standingOf(ordered)), isAltered: false };
}
