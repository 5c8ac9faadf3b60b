import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import { findTakenAddresses, overlapEachOther } from "../changes/network-rules.ts";
import { STACK } from "../service-definition.ts";
import { CONTENT, ENVIRONMENT, type HeldPart, type Owner } from "./stack-parts.ts";
import { PART_KINDS, type Part, type StackPlan } from "./stack-plan.ts";

/** A service of the cluster, by its name and labels. */
export interface Named {
  readonly name: string;
  readonly labels: JsonObject;
}

/** What stands in the way of a stack before anything is made, a sentence each. */
export function findConflicts(
  plan: Pick<StackPlan, "parts" | "external" | "services">,
  owner: Owner,
  services: readonly Named[],
  held: readonly HeldPart[],
): string[] {
  return [
    ...findForeign(owner, services),
    ...plan.services.flatMap(({ spec }) =>
      findTaken(
        services.find(({ name }) => name === spec.name),
        `service ${spec.name}`,
        owner,
      ),
    ),
    ...PART_KINDS.flatMap((kind) =>
      [...new Set(plan.external[kind])].flatMap((name) => {
        const there = held.filter((one) => one.kind === kind && one.name === name);
        return findExternalConflict(`${kind.slice(0, -1)} ${name}`, there, owner);
      }),
    ),
    ...findPartConflicts(plan.parts, owner, held),
  ];
}

/** What has the name of a part without being it, or the addresses of a network that is to be made. */
export function findPartConflicts(parts: readonly Part[], owner: Owner, held: readonly HeldPart[]): string[] {
  const named = parts.flatMap((part) => {
    const there = held.filter(({ kind, name }) => kind === part.kind && name === part.name);
    return there.flatMap((one) => findPartConflict(part, one, owner));
  });
  return [...named, ...findAddressConflicts(findNewNetworks(parts, held), held)];
}

/** Those that are still to be made. */
export function findNewNetworks(parts: readonly Part[], held: readonly HeldPart[]): Part[] {
  const there = new Set(held.filter(({ kind }) => kind === "networks").map(({ name }) => name));
  return parts.filter(({ kind, name }) => kind === "networks" && !there.has(name));
}

export const isEncrypted = ({ settings: { Options } }: Part): boolean =>
  isJsonObject(Options) && "encrypted" in Options;

function findAddressConflicts(wanted: readonly Part[], held: readonly HeldPart[]): string[] {
  const subnets = wanted.flatMap(subnetsOf);
  const others = held.filter(({ kind }) => kind === "networks");
  return [
    ...(overlapEachOther(subnets) ? ["the subnets of the stack's networks overlap each other"] : []),
    ...findTakenAddresses(
      subnets,
      others.map((one) => ({ name: one.name, subnets: subnetsOf(one) })),
    ),
  ];
}

const subnetsOf = ({ settings: { Subnets } }: Pick<Part, "settings">): string[] =>
  Array.isArray(Subnets) ? Subnets.map(String) : [];

/** What other environments made is theirs, and what the bridge did not make is anybody's. */
function findExternalConflict(what: string, there: readonly HeldPart[], { environment }: Owner): string[] {
  const [first, another] = there;
  if (first === undefined || another !== undefined)
    return [`the cluster has ${first === undefined ? "no" : "more than one"} ${what}`];
  const maker = first.labels[ENVIRONMENT];
  return maker === undefined || maker === environment ? [] : [`the ${what} belongs to ${maker}`];
}

/** Services that go by the stack's name without being of this bridge's environment: the stack is somebody else's. */
export function findForeign({ environment, stack }: Owner, services: readonly Named[]): string[] {
  const strange = services.filter(({ labels }) => labels[STACK] === stack && labels[ENVIRONMENT] !== environment);
  return strange.map(({ name, labels }) => `the stack ${stack} has a service ${name} that ${whose(labels)}`);
}

function findTaken(there: Named | undefined, what: string, { environment, stack }: Owner): string[] {
  if (there === undefined || there.labels[STACK] === stack) return [];
  const { labels } = there;
  const why = labels[ENVIRONMENT] === environment ? `is ${partOf(labels)}` : whose(labels);
  return [`there is a ${what} already, and it ${why}`];
}

function findPartConflict(part: Part, there: HeldPart, owner: Owner): string[] {
  const what = `${part.kind.slice(0, -1)} ${part.name}`;
  const { labels } = there;
  const taken = findTaken(there, what, owner);
  if (taken.length > 0) return taken;
  if (labels[ENVIRONMENT] !== owner.environment) return [`there is a ${what} already, and it ${whose(labels)}`];
  if (part.hash !== undefined && labels[CONTENT] !== part.hash)
    return [
      `the ${what} holds something else, and what it holds cannot be changed: leave its name to the bridge, or give it another`,
    ];
  if (part.kind === "networks" && !isSameNetwork(part.settings, there.settings))
    return [`the ${what} is there with other settings, which cannot be changed: remove the stack first`];
  return [];
}

function whose(labels: JsonObject): string {
  const owner = labels[ENVIRONMENT];
  return owner === undefined ? "was not made by the bridge" : `belongs to ${owner}`;
}

const partOf = (labels: JsonObject): string =>
  labels[STACK] === undefined ? "part of no stack" : `part of the stack ${labels[STACK]}`;

/** Of what was not asked for the engine takes its own: subnets, and the id of an overlay. */
export function isSameNetwork(wanted: JsonObject, there: JsonObject): boolean {
  const [own, other] = [wanted.Options, there.Options].map((options) => (isJsonObject(options) ? options : {}));
  const names = new Set([...Object.keys(own ?? {}), ...("encrypted" in (other ?? {}) ? ["encrypted"] : [])]);
  const subnets = Array.isArray(wanted.Subnets) && wanted.Subnets.length > 0 ? wanted.Subnets : there.Subnets;
  return (
    [...names].every((name) => own?.[name] === other?.[name]) &&
    wanted.Driver === there.Driver &&
    Boolean(wanted.Attachable) === Boolean(there.Attachable) &&
    Boolean(wanted.Internal) === Boolean(there.Internal) &&
    JSON.stringify(subnets) === JSON.stringify(there.Subnets)
  );
}
