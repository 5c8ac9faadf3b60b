import type { Json } from "../oci/json.ts";
import type { Refusal } from "./errors.ts";
import type { Order, OrderAction } from "./orders.ts";

/** What came of an order; the last line that whoever ordered it is told. */
export type Outcome =
  | { readonly kind: "deployed"; readonly pinned: string }
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly rolledBackTo: string | undefined;
      /** Of a stack: what became of each. */
      readonly services?: { readonly [service: string]: Json };
    }
  /** It is as was ordered, and what there is to say of it. */
  | ({ readonly kind: "done" } & { readonly [detail: string]: Json })
  | Refusal;

/** An order that was accepted, and what came with it. */
export interface Ordered extends Order {
  /** A statement past missing signatures (DSSE), not looked at yet. */
  readonly breakGlass: Uint8Array | undefined;
  /** When it came, of performance.now(): what the registry said before counts for nothing. */
  readonly cameMs: number;
}

/** Each line that is told while it is carried out. */
export type Tell = (progress: object) => void;

/**
 * Carries an order out. Who may order it is known by then, and nothing else: `body` are the bytes that were signed for, not
 * looked at yet. What is not to be is a Refusal, or a BridgeError that becomes one; it stands in the journal then.
 */
export type ActionHandler = (order: Ordered, body: Uint8Array, tell: Tell) => Promise<Outcome>;

/** The one door to all changes: every feature brings handlers for the actions that are its own. */
export type ActionTable = { readonly [action in OrderAction]?: ActionHandler };

/** @throws Error for an action that two features bring: a mistake of ours */
export function mergeActions(tables: readonly ActionTable[]): ActionTable {
  const merged: { [action in OrderAction]?: ActionHandler } = {};
  for (const [action, handler] of tables.flatMap((table) => Object.entries(table))) {
    if (Object.hasOwn(merged, action)) throw new Error(`two handlers for ${action}`);
    merged[action as OrderAction] = handler;
  }
  return merged;
}
