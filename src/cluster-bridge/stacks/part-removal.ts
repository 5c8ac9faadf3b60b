import { setTimeout as delay } from "node:timers/promises";
import { BridgeError, toRefusal } from "../errors.ts";
import type { HeldPart, StackParts } from "./stack-parts.ts";

export interface Removed {
  /** `network shop_front`. */
  readonly gone: readonly string[];
  /** The same, and why it is still there. */
  readonly left: readonly string[];
}

const POLL_MS = 200;

/**
 * Tasks that end use their networks a while longer, and the engine still shows what it has agreed to remove: gone is what it
 * shows no more. What somebody else uses stays.
 * @param withinMs how long it is waited
 * @throws BridgeError SILENT
 */
export async function removeParts(
  parts: Pick<StackParts, "list" | "remove">,
  wanted: readonly HeldPart[],
  withinMs: number,
): Promise<Removed> {
  const endsMs = performance.now() + withinMs;
  let left = new Map<HeldPart, string>(wanted.map((part) => [part, ""]));
  while (left.size > 0) {
    const reasons = await Promise.all(
      [...left.keys()].map(async (part) => [part, await tryToRemove(parts, part)] as const),
    );
    const there = new Set((await parts.list()).map(({ kind, id }) => `${kind}/${id}`));
    left = new Map(reasons.filter(([{ kind, id }]) => there.has(`${kind}/${id}`)));
    if (left.size === 0 || performance.now() > endsMs) break;
    await delay(POLL_MS);
  }
  return {
    gone: wanted.filter((part) => !left.has(part)).map(whatIs),
    left: [...left].map(([part, why]) => `${whatIs(part)}: ${why}`),
  };
}

export const whatIs = ({ kind, name }: Pick<HeldPart, "kind" | "name">): string => `${kind.slice(0, -1)} ${name}`;

/** Why it may still be there. */
async function tryToRemove(parts: Pick<StackParts, "remove">, part: HeldPart): Promise<string> {
  try {
    await parts.remove(part);
    return "the engine has not let go of it yet";
  } catch (error) {
    const { code, reason } = toRefusal(error);
    if (code === "SILENT") throw new BridgeError(code, reason, { cause: error });
    return reason;
  }
}
