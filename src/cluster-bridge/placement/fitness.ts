import { toText } from "../../trust/constraint.ts";
import type { Cluster, Node, Occupant } from "./cluster.ts";
import { findDeadEnd, matches, valueAt } from "./constraint-lint.ts";
import { type Need, type Platform, refusal } from "./need.ts";

/** What of a node is free for a service, and how many of its tasks that is room for. */
export interface Fitness {
  readonly node: Node;
  /** Why no task fits; undefined: some do. */
  readonly obstacle: string | undefined;
  readonly room: number;
  readonly freeNanoCpus: number;
  readonly freeMemoryBytes: number;
  /** Of the kinds that the service reserves. */
  readonly freeGeneric: ReadonlyMap<string, number>;
  /** Tasks of others. */
  readonly others: number;
  /** Tasks that make way for the new ones. */
  readonly own: number;
}

export interface Surroundings extends Cluster {
  /** Ids of the nodes whose engine says that it maps users. */
  readonly withUserns: ReadonlySet<string>;
  /** Id of the service where it is there already and its tasks make way for the new ones. */
  readonly replaces: string | undefined;
}

/** Each node by itself, in order. */
export function judgeNodes(need: Need, { nodes, occupants, withUserns, replaces }: Surroundings): Fitness[] {
  const tasks = Map.groupBy(occupants, ({ node }) => node);
  return nodes.map((node) => {
    const all = tasks.get(node.id) ?? [];
    const there = all.filter(({ service }) => service !== replaces);
    return { ...judge(node, need, { there, withUserns }), own: all.length - there.length };
  });
}

function judge(
  node: Node,
  need: Need,
  { there, withUserns }: { readonly there: readonly Occupant[]; readonly withUserns: ReadonlySet<string> },
): Omit<Fitness, "own"> {
  const sum = (of: (occupant: Occupant) => number): number => there.reduce((total, one) => total + of(one), 0);
  const free = {
    freeNanoCpus: node.nanoCpus - sum(({ nanoCpus }) => nanoCpus),
    freeMemoryBytes: node.memoryBytes - sum(({ memoryBytes }) => memoryBytes),
    freeGeneric: new Map(
      [...need.generic.keys()].map((kind) => [
        kind,
        (node.generic.get(kind) ?? 0) - sum(({ generic }) => generic.get(kind) ?? 0),
      ]),
    ),
  };
  const taken = need.hostPorts.find((port) => there.some(({ hostPorts }) => hostPorts.includes(port)));
  const lack = findStandingLack(node, need, withUserns) ?? (taken && `its port ${taken} is taken`);
  const room = lack === undefined ? roomFor(need, free) : 0;
  const obstacle = lack ?? (room > 0 ? undefined : describeShortage(need, free));
  return { node, obstacle, room, ...free, others: there.length };
}

type Free = Pick<Fitness, "freeNanoCpus" | "freeMemoryBytes" | "freeGeneric">;

function roomFor({ nanoCpus, memoryBytes, generic, hostPorts, maxPerNode }: Need, free: Free): number {
  const limits = [
    nanoCpus > 0 ? Math.floor(free.freeNanoCpus / nanoCpus) : Number.POSITIVE_INFINITY,
    memoryBytes > 0 ? Math.floor(free.freeMemoryBytes / memoryBytes) : Number.POSITIVE_INFINITY,
    ...[...generic].map(([kind, value]) => Math.floor((free.freeGeneric.get(kind) ?? 0) / value)),
    hostPorts.length > 0 ? 1 : Number.POSITIVE_INFINITY,
    maxPerNode > 0 ? maxPerNode : Number.POSITIVE_INFINITY,
  ];
  return Math.max(0, Math.min(...limits));
}

function describeShortage({ nanoCpus, memoryBytes, generic }: Need, free: Free): string {
  const { freeNanoCpus, freeMemoryBytes, freeGeneric } = free;
  const cpus = (nano: number): string => String(Math.max(0, Math.round(nano / 1e6) / 1e3));
  const mebibytes = (bytes: number): number => Math.max(0, Math.floor(bytes / 1024 / 1024));
  if (nanoCpus > freeNanoCpus) return `${cpus(freeNanoCpus)} CPU free, ${cpus(nanoCpus)} needed`;
  const scarce = [...generic].find(([kind, value]) => value > (freeGeneric.get(kind) ?? 0));
  if (scarce !== undefined)
    return `${Math.max(0, freeGeneric.get(scarce[0]) ?? 0)} ${scarce[0]} free, ${scarce[1]} needed`;
  return `${mebibytes(freeMemoryBytes)} MiB free, ${mebibytes(memoryBytes)} needed`;
}

/** What keeps a node from ever running it, whatever else runs there. */
function findStandingLack(node: Node, need: Need, withUserns: ReadonlySet<string>): string | undefined {
  if (node.away !== undefined) return `is ${node.away}`;
  const broken = need.constraints.find((constraint) => !matches(node, constraint));
  if (broken !== undefined) return `${toText(broken)}: it is ${valueAt(node, broken.key) || "not there"}`;
  if (!runsOn(node, need.platforms)) return `is ${nameOf(toPlatform(node))}, the image is not`;
  if (need.usernsOnly && !withUserns.has(node.id)) return "no user namespaces, by what its engine says";
  const driver = need.volumeDrivers.find((name) => !node.volumeDrivers.has(name));
  return driver && `has no volume driver ${driver}`;
}

/**
 * Where no node could ever run it, whatever else runs there.
 * @throws BridgeError PLACEMENT with what is to be changed
 */
export function requireSomewhere(need: Need, { nodes, withUserns }: Surroundings): void {
  const deadEnd = findDeadEnd(need.constraints, nodes);
  if (deadEnd !== undefined) throw refusal(`${need.service} can run nowhere: ${deadEnd}`);
  const matching = nodes.filter(
    (node) => node.away === undefined && need.constraints.every((constraint) => matches(node, constraint)),
  );
  const able = matching.filter((node) => runsOn(node, need.platforms));
  if (able.length === 0) throw refusal(`${need.service} can run nowhere: ${describePlatforms(need, matching)}`);
  const mapped = need.usernsOnly ? able.filter(({ id }) => withUserns.has(id)) : able;
  if (mapped.length === 0)
    throw refusal(
      `${need.service} can run nowhere: of ${namesOf(able)} no engine says that it maps users (usernsOnly)`,
    );
  if (mapped.some((node) => need.volumeDrivers.every((driver) => node.volumeDrivers.has(driver)))) return;
  throw refusal(`${need.service} can run nowhere: ${describeDrivers(need, mapped, nodes)}`);
}

function describePlatforms({ platforms }: Need, nodes: readonly Node[]): string {
  const are = nodes.map((node) => `${node.hostname} is ${nameOf(toPlatform(node))}`);
  return `its image is for ${platforms.map(nameOf).join(", ")}, and ${are.join(", ")}`;
}

function describeDrivers({ volumeDrivers }: Need, mapped: readonly Node[], nodes: readonly Node[]): string {
  const missing = volumeDrivers.filter((driver) => !mapped.some((node) => node.volumeDrivers.has(driver)));
  if (missing.length === 0) return `no one node has all of the volume drivers ${volumeDrivers.join(", ")}`;
  return missing
    .map((driver) => {
      const holders = nodes.filter((node) => node.volumeDrivers.has(driver));
      return `the volume driver ${driver} is ${holders.length === 0 ? "on no node" : `only on ${namesOf(holders)}`}`;
    })
    .join("; ");
}

const MAX_NAMED = 8;

function namesOf(nodes: readonly Node[]): string {
  const names = nodes.slice(0, MAX_NAMED).map(({ hostname }) => hostname);
  return nodes.length > MAX_NAMED ? `${names.join(", ")} and ${nodes.length - MAX_NAMED} others` : names.join(", ");
}

const nameOf = ({ os, arch }: Platform): string => `${os || "any"}/${arch || "any"}`;

/** A node says what its kernel says, an image what Go says. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64" };

const toPlatform = ({ os, arch }: Node): Platform => ({ os, arch: ARCHITECTURES[arch] ?? arch });

/** @see swarmkit manager/scheduler, PlatformFilter */
function runsOn(node: Node, platforms: readonly Platform[]): boolean {
  const own = toPlatform(node);
  const isIt = ({ os, arch }: Platform): boolean => (os === "" || os === own.os) && (arch === "" || arch === own.arch);
  return platforms.length === 0 || platforms.some(isIt);
}
