import { valueAt } from "./constraint-lint.ts";
import type { Fitness } from "./fitness.ts";

/** How many tasks of a service a node is expected to get, by the node's id. */
export type Counts = ReadonlyMap<string, number>;

/** How full a node is by what others reserved: 0 to 1, of CPU and memory the mean. */
export function fullnessOf({ node, freeNanoCpus, freeMemoryBytes }: Fitness): number {
  const used = (total: number, free: number): number => (total > 0 ? 1 - free / total : 1);
  return (used(node.nanoCpus, freeNanoCpus) + used(node.memoryBytes, freeMemoryBytes)) / 2;
}

/** The fullest nodes that have room for all: tasks go to the fullest as long as it has room, then to the next; nothing moves without need. */
export function pickFullest(nodes: readonly Fitness[], replicas: number): Fitness[] {
  const fullest = nodes
    .filter(({ room }) => room > 0)
    .sort((one, other) => fullnessOf(other) - fullnessOf(one) || other.own - one.own);
  const picked: Fitness[] = [];
  let left = Math.max(1, replicas);
  for (const node of fullest) {
    if (left <= 0) break;
    picked.push(node);
    left -= node.room;
  }
  return picked;
}

/** For every task one of the nodes that still have room, by lot; the same seed and nodes, the same lots. */
export function pickRandom(nodes: readonly Fitness[], replicas: number, seed: number): Fitness[] {
  const draw = drawer(seed);
  const counts = new Map<Fitness, number>();
  for (let task = 0; task < Math.max(1, replicas); task++) {
    const open = nodes.filter((node) => (counts.get(node) ?? 0) < node.room);
    const drawn = open[Math.floor(draw() * open.length)];
    if (drawn === undefined) break;
    counts.set(drawn, (counts.get(drawn) ?? 0) + 1);
  }
  return nodes.filter((node) => counts.has(node));
}

/** Mulberry32: small, and the same everywhere. 0 up to 1. */
function drawer(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Where the engine will put them: among the values of `over` evenly, among nodes where the service has fewest tasks, then where
 * there are fewest of all.
 * @param over `node.labels.zone`
 * @see swarmkit manager/scheduler
 */
export function expectSpread(nodes: readonly Fitness[], replicas: number, over: string | undefined): Counts {
  const counts = new Map<string, number>();
  const countOf = ({ node }: Fitness): number => counts.get(node.id) ?? 0;
  const groups = new Map(nodes.map((one) => [one, over === undefined ? "" : valueAt(one.node, over)]));
  const groupOf = (one: Fitness): string => groups.get(one) ?? "";
  const inGroup = new Map<string, number>();
  const isBefore = (one: Fitness, other: Fitness): boolean => {
    const byGroup = (inGroup.get(groupOf(one)) ?? 0) - (inGroup.get(groupOf(other)) ?? 0);
    const byService = countOf(one) - countOf(other);
    return (byGroup || byService || one.others + countOf(one) - other.others - countOf(other)) < 0;
  };
  const openNodes = new Set(nodes.filter(({ room }) => room > 0));
  for (let task = 0; task < replicas && openNodes.size > 0; task++) {
    const next = [...openNodes].reduce((best, one) => (isBefore(one, best) ? one : best));
    counts.set(next.node.id, countOf(next) + 1);
    inGroup.set(groupOf(next), (inGroup.get(groupOf(next)) ?? 0) + 1);
    if (countOf(next) >= next.room) openNodes.delete(next);
  }
  return counts;
}
