import { z } from "zod";

/** What a node must, or must not, be for a service's tasks. */
export interface Constraint {
  /** `node.role`, `node.labels.tier`, …: a label's own name counts as it is written. */
  readonly key: string;
  readonly operator: "==" | "!=";
  /** The engine compares without regard to case. */
  readonly value: string;
}

const KEY = /^(?:node\.(?:id|hostname|role|platform\.os|platform\.arch)|(?:node|engine)\.labels\.[A-Za-z0-9_.-]+)$/;
/** What the engine takes, on one line. */
const VALUE = /^[A-Za-z0-9:\-_ .*()?+[\]\\^$|/]+$/;
const MAX_LENGTH = 512;

/**
 * `node.labels.tier==prod`, with or without blanks. What the engine would take and never match is refused here.
 * @returns undefined for what is no constraint
 * @see swarmkit manager/constraint: all of them must hold, there is no "or", and no patterns either
 */
export function findConstraint(text: string): Constraint | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const [, key = "", operator, value = ""] = /^ *([^ =!]+) *(==|!=) *([^=!]*[^=! ]) *$/.exec(text) ?? [];
  if (operator !== "==" && operator !== "!=") return undefined;
  if (!KEY.test(key) || !VALUE.test(value)) return undefined;
  if (key === "node.role" && !/^(?:manager|worker)$/i.test(value)) return undefined;
  return { key, operator, value };
}

export const CONSTRAINT_FORM =
  "a constraint is KEY==VALUE or KEY!=VALUE, where KEY is node.id, node.hostname, node.role (manager or worker), node.platform.os, node.platform.arch, node.labels.… or engine.labels.…";

export const constraintSchema = z.string().transform((text, context): Constraint => {
  const constraint = findConstraint(text);
  if (constraint !== undefined) return constraint;
  context.addIssue(CONSTRAINT_FORM);
  return z.NEVER;
});

/** As the engine takes it. */
export function toText({ key, operator, value }: Constraint): string {
  return `${key}${operator}${value}`;
}

export function isSameConstraint(one: Constraint, other: Constraint): boolean {
  return one.key === other.key && one.operator === other.operator && isSameValue(one.value, other.value);
}

/** As Go's strings.EqualFold sees it: the long s is an s there, and the Kelvin sign a k. */
export function isSameValue(one: string, other: string): boolean {
  const fold = (text: string): string => text.replaceAll("ſ", "s").toLowerCase();
  return fold(one) === fold(other);
}

/** Two that no node can keep both; undefined where there are none. */
export function findContradiction(constraints: readonly Constraint[]): readonly [Constraint, Constraint] | undefined {
  for (const [index, one] of constraints.entries()) {
    const other = constraints.slice(index + 1).find((later) => isContradiction(one, later));
    if (other !== undefined) return [one, other];
  }
  return undefined;
}

function isContradiction(one: Constraint, other: Constraint): boolean {
  if (one.key !== other.key) return false;
  if (one.operator !== other.operator) return isSameValue(one.value, other.value);
  return one.operator === "==" && !isSameValue(one.value, other.value);
}
