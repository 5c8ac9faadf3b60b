import type { JsonObject } from "../../oci/json.ts";
import { type Constraint, toText } from "../../trust/constraint.ts";
import type { ServiceSpec } from "../service-spec.ts";
import type { Node } from "./cluster.ts";
import { lint, matches, nearest } from "./constraint-lint.ts";
import { type Fitness, judgeNodes, requireSomewhere, type Surroundings } from "./fitness.ts";
import { type Need, refusal, usernsConstraint } from "./need.ts";
import { type Counts, expectSpread, fullnessOf, pickFullest, pickRandom } from "./strategies.ts";

/** Why a node runs the service, or does not; a line of the table. A type, not an interface: it is JSON. */
export type NodeRow = {
  readonly node: string;
  readonly id: string;
  /** Tasks of the service that it can have and others take nothing of; null: any number. */
  readonly room: number | null;
  readonly freeCpus: number;
  readonly freeMemoryBytes: number;
  readonly chosen: boolean;
  /** Expected: within the nodes that are chosen it is the engine that spreads them. */
  readonly tasks: number;
  readonly why: string;
};

export type PlacementReport = {
  readonly strategy: ServiceSpec["strategy"];
  /** Of the lots: the same seed and the same cluster, the same nodes. */
  readonly seed?: number;
  readonly constraints: readonly { readonly constraint: string; readonly matches: number; readonly of: number }[];
  readonly nodes: readonly NodeRow[];
};

export interface Placement {
  /** `TaskTemplate.Placement` of the engine's API. */
  readonly fields: JsonObject;
  readonly report: PlacementReport;
}

type Asked = Pick<ServiceSpec, "strategy" | "spreadOver" | "replicas">;

/**
 * Where a service's tasks go: the engine is told by constraints and preferences alone, since it is the engine that starts
 * them again when a node is gone.
 * @throws BridgeError PLACEMENT where none can run, or not all that were asked for where the bridge chooses
 * @see docs/decisions/0053
 */
export function place(asked: Asked, need: Need, around: Surroundings, seed: number): Placement {
  const over = overOf(asked, around.nodes);
  requireSomewhere(need, around);
  const nodes = judgeNodes(need, around);
  const chosen = new Set(choose(asked, need, nodes, seed));
  const isPicked = asked.strategy !== "spread";
  const counts = countsOf(asked, [...chosen], over);
  const constraints = [
    ...need.constraints,
    ...(need.usernsOnly ? [usernsConstraint, ...excludeDoubtful(around)] : []),
    ...(isPicked ? toConstraints(around.nodes, new Set([...chosen].map(({ node }) => node.id))) : []),
  ];
  return {
    fields: toFields(need, constraints, over),
    report: {
      strategy: asked.strategy,
      ...(asked.strategy === "random" ? { seed } : {}),
      constraints: lint(need.constraints, around.nodes).map(({ constraint, ...found }) => ({
        constraint: toText(constraint),
        ...found,
      })),
      nodes: nodes.map((fitness) => toRow(fitness, { asked, isChosen: chosen.has(fitness), counts })),
    },
  };
}

/** A label that no node has would spread nothing. @throws BridgeError PLACEMENT */
function overOf({ strategy, spreadOver }: Asked, nodes: readonly Node[]): string | undefined {
  if (spreadOver === undefined) return undefined;
  if (strategy !== "spread") throw refusal(`spreadOver is for the strategy spread, not for ${strategy}`);
  const labels = new Set(nodes.flatMap((node) => [...node.labels.keys()]));
  if (labels.has(spreadOver)) return `node.labels.${spreadOver}`;
  const known = labels.size === 0 ? "no node has any label" : `node labels there are: ${nearest(spreadOver, labels)}`;
  throw refusal(`no node has the label ${spreadOver} to spread over; ${known}`);
}

/** @throws BridgeError PLACEMENT */
function choose({ strategy, replicas }: Asked, need: Need, nodes: readonly Fitness[], seed: number): Fitness[] {
  const open = nodes.filter(({ obstacle }) => obstacle === undefined);
  if (strategy === "spread") return open;
  if (replicas === "global") throw refusal(`a global service runs on every node: ${strategy} has nothing to choose`);
  if (strategy === "binpack" && need.nanoCpus === 0 && need.memoryBytes === 0)
    throw refusal(`binpack goes by what is reserved, and ${need.service} reserves neither CPU nor memory`);
  const room = open.reduce((total, one) => total + one.room, 0);
  if (room < Math.max(1, replicas))
    throw refusal(`${strategy}: ${room} of ${replicas} tasks of ${need.service} fit (${describeObstacles(nodes)})`);
  return strategy === "binpack" ? pickFullest(open, replicas) : pickRandom(open, replicas, seed);
}

const MAX_NAMED = 8;

function describeObstacles(nodes: readonly Fitness[]): string {
  const rows = nodes.map(({ node, obstacle, room }) => `${node.hostname}: ${obstacle ?? `room for ${room}`}`);
  return rows.slice(0, MAX_NAMED).join("; ");
}

/** The label of a node whose engine does not say so now: nothing new goes there. */
function excludeDoubtful({ nodes, withUserns }: Surroundings): Constraint[] {
  const doubtful = nodes.filter((node) => matches(node, usernsConstraint) && !withUserns.has(node.id));
  return doubtful.map(({ id }) => ({ key: "node.id", operator: "!=", value: id }));
}

/** One node by its id; more of them by ruling out all others, because constraints know no "or". */
function toConstraints(nodes: readonly Node[], chosen: ReadonlySet<string>): Constraint[] {
  const [only, ...more] = chosen;
  if (only !== undefined && more.length === 0) return [{ key: "node.id", operator: "==", value: only }];
  const others = nodes.filter(({ id }) => !chosen.has(id));
  return others.map(({ id }) => ({ key: "node.id", operator: "!=", value: id }));
}

function countsOf({ replicas }: Asked, chosen: readonly Fitness[], over: string | undefined): Counts {
  if (replicas === "global") return new Map(chosen.map(({ node }) => [node.id, 1]));
  return expectSpread(chosen, replicas, over);
}

function toFields(
  { platforms, maxPerNode }: Need,
  constraints: readonly Constraint[],
  over: string | undefined,
): JsonObject {
  return {
    ...(constraints.length > 0 ? { Constraints: [...new Set(constraints.map(toText))] } : {}),
    ...(over === undefined ? {} : { Preferences: [{ Spread: { SpreadDescriptor: over } }] }),
    ...(maxPerNode > 0 ? { MaxReplicas: maxPerNode } : {}),
    ...(platforms.length > 0 ? { Platforms: platforms.map(({ os, arch }) => ({ OS: os, Architecture: arch })) } : {}),
  };
}

interface Choice {
  readonly asked: Asked;
  readonly isChosen: boolean;
  readonly counts: Counts;
}

function toRow(fitness: Fitness, choice: Choice): NodeRow {
  const { node, room, freeNanoCpus, freeMemoryBytes } = fitness;
  return {
    ...{ node: node.hostname, id: node.id, chosen: choice.isChosen, tasks: choice.counts.get(node.id) ?? 0 },
    room: Number.isFinite(room) ? room : null,
    ...{ freeCpus: freeNanoCpus / 1e9, freeMemoryBytes },
    why: explain(fitness, choice),
  };
}

function explain(fitness: Fitness, { asked, isChosen }: Choice): string {
  if (fitness.obstacle !== undefined) return fitness.obstacle;
  if (asked.strategy === "random") return isChosen ? "drawn by lot" : "fits, and was not drawn";
  if (asked.strategy === "spread") return "fits";
  const full = `${Math.round(fullnessOf(fitness) * 100)} % reserved`;
  return isChosen ? `the fullest that fit: ${full}` : `fits, and fuller ones have room: ${full}`;
}
