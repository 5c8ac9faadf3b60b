import { stepOf } from "./held-task.ts";
import type { Rollout } from "./rollout.ts";

const PREPARING = "preparing";
/** How much longer nodes may take to pull an image, of which the engine tells nothing until it is there. */
const PULL_FACTOR = 6;

/**
 * Since when nothing has moved for the better. What a replica reached once it reaches no second time: what starts and ends over and over
 * gets nowhere.
 */
export class Headway {
  readonly #allowedMs: number;
  readonly #pullMs: number;
  /** By slot. */
  readonly #reached = new Map<string, number>();
  #fewest = Number.POSITIVE_INFINITY;
  #told = "";
  #sinceMs = 0;

  /** @param patienceMs for whatever takes the time it takes; `batchMs`: what the definition itself says */
  constructor(patienceMs: number, batchMs: number) {
    [this.#allowedMs, this.#pullMs] = [patienceMs + batchMs, PULL_FACTOR * patienceMs + batchMs];
  }

  /** For how long there was none where that is too long, in ms. */
  findStall(rollout: Rollout, nowMs: number): number | undefined {
    if (this.#hasMoved(rollout)) this.#sinceMs = nowMs;
    const isPulling = rollout.own.some(({ state, desired }) => state === PREPARING && desired === "running");
    const quietMs = nowMs - this.#sinceMs;
    return quietMs > (isPulling ? this.#pullMs : this.#allowedMs) ? quietMs : undefined;
  }

  #hasMoved({ own, others, update }: Rollout): boolean {
    const told = `${update.updateState} ${update.updateMessage}`;
    const further = own.filter((task) => stepOf(task) > (this.#reached.get(task.slot) ?? -1));
    for (const task of further)
      this.#reached.set(task.slot, Math.max(stepOf(task), this.#reached.get(task.slot) ?? -1));
    const hasMoved = further.length > 0 || others < this.#fewest || told !== this.#told;
    [this.#fewest, this.#told] = [Math.min(this.#fewest, others), told];
    return hasMoved;
  }
}
