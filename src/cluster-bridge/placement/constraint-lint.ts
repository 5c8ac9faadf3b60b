import { type Constraint, isSameValue, toText } from "../../trust/constraint.ts";
import type { Node } from "./cluster.ts";

/** What a constraint makes of the nodes on which something can start now. */
export interface Linted {
  readonly constraint: Constraint;
  readonly matches: number;
  readonly of: number;
}

/** As the engine does it: a label that is not there is empty, so that only `!=` matches it. @see swarmkit manager/constraint */
export function matches(node: Node, { key, operator, value }: Constraint): boolean {
  return isSameValue(valueAt(node, key), value) === (operator === "==");
}

export function lint(constraints: readonly Constraint[], nodes: readonly Node[]): Linted[] {
  const usable = nodes.filter(({ away }) => away === undefined);
  return constraints.map((constraint) => ({
    constraint,
    matches: usable.filter((node) => matches(node, constraint)).length,
    of: usable.length,
  }));
}

/** Why nothing can start anywhere: the constraints that match no node with what there is instead. Undefined where some node matches all. */
export function findDeadEnd(constraints: readonly Constraint[], nodes: readonly Node[]): string | undefined {
  const usable = nodes.filter(({ away }) => away === undefined);
  if (usable.length === 0) return `no node is ready: ${nodes.map(describeAway).join(", ")}`;
  if (usable.some((node) => constraints.every((constraint) => matches(node, constraint)))) return undefined;
  const linted = lint(constraints, nodes);
  const dead = linted.filter((entry) => entry.matches === 0);
  if (dead.length > 0)
    return dead.map((entry) => `${toSentence(entry)} (${explain(entry.constraint, nodes)})`).join("; ");
  return `0 of ${usable.length} nodes match all of: ${linted.map(toSentence).join(", ")}`;
}

function toSentence({ constraint, matches: count, of }: Linted): string {
  return `${toText(constraint)} matches ${count} of ${of} nodes`;
}

function describeAway({ hostname, away }: Node): string {
  return `${hostname} is ${away}`;
}

/** What whoever wrote it may have meant. */
function explain(constraint: Constraint, nodes: readonly Node[]): string {
  const asleep = nodes.filter((node) => node.away !== undefined && matches(node, constraint));
  if (asleep.length > 0) return asleep.map((node) => describeAway(node)).join(", ");
  if (constraint.operator === "!=") return "every node is that";
  const { key } = constraint;
  const [, kind, label] = /^(node|engine)\.labels\.(.+)$/.exec(key) ?? [];
  if (kind === undefined || label === undefined) return `there are: ${valuesOf(nodes, key)}`;
  const labels = new Set(nodes.flatMap((node) => [...labelsOf(node, kind).keys()]));
  if (labels.has(label)) return `${label} is ${valuesOf(nodes, key)}`;
  return labels.size === 0 ? `no node has any ${kind} label` : `${kind} labels there are: ${nearest(label, labels)}`;
}

const MAX_NAMED = 8;

/** `prod on 2, test on 1`; what is not there is left out. */
function valuesOf(nodes: readonly Node[], key: string): string {
  const counts = new Map<string, number>();
  for (const value of nodes.map((node) => valueAt(node, key))) counts.set(value, (counts.get(value) ?? 0) + 1);
  counts.delete("");
  return [...counts]
    .sort(([, one], [, other]) => other - one)
    .slice(0, MAX_NAMED)
    .map(([value, count]) => `${value} on ${count}`)
    .join(", ");
}

/** @param labels at least one */
export function nearest(label: string, labels: Iterable<string>): string {
  const sorted = [...labels]
    .map((one) => [distance(label.toLowerCase(), one.toLowerCase()), one] as const)
    .sort(([one, a], [other, b]) => one - other || (a < b ? -1 : 1));
  return sorted
    .slice(0, MAX_NAMED)
    .map(([, one]) => one)
    .join(", ");
}

/** How many letters are different (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (const [i, a] of [...one].entries()) {
    const next = [i + 1];
    for (const [j, b] of [...other].entries())
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + Number(a !== b)));
    row = next;
  }
  return row.at(-1) ?? 0;
}

function labelsOf(node: Node, kind: string): ReadonlyMap<string, string> {
  return kind === "node" ? node.labels : node.engineLabels;
}

export function valueAt(node: Node, key: string): string {
  const [, kind, label] = /^(node|engine)\.labels\.(.+)$/.exec(key) ?? [];
  if (kind !== undefined && label !== undefined) return labelsOf(node, kind).get(label) ?? "";
  return PLAIN[key]?.(node) ?? "";
}

const PLAIN: Readonly<Record<string, (node: Node) => string>> = {
  "node.id": ({ id }) => id,
  "node.hostname": ({ hostname }) => hostname,
  "node.role": ({ role }) => role,
  "node.platform.os": ({ os }) => os,
  "node.platform.arch": ({ arch }) => arch,
};
