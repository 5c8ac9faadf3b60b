import { isJsonObject, type JsonObject } from "../oci/json.ts";
import { Headway } from "./headway.ts";
import { type HeldTask, hasEnded } from "./held-task.ts";
import type { Rollout } from "./rollout.ts";
import { timesOf } from "./rollout-times.ts";

export type Convergence = { readonly kind: "converged" } | { readonly kind: "failed"; readonly reason: string };

/** How often one replica may fail: once an engine is started anew, and once a database is not there yet. */
const MAX_FAILURES = 3;
const MAX_ERRORS = 3;

/**
 * Whether a service has come up, by one look after the other.
 * - The engine watches its updates by itself, and says `completed` or `paused`. It does so with nothing else: not with what is new,
 *   nor in the moment before an update begins. There the same tasks must run for `update.monitor`, as docker's own command has it.
 * - It has failed when the engine says so, when one replica failed three times, when the engine does not start one again, or when
 *   nothing moves.
 */
export class RolloutJudge {
  readonly #monitorMs: number;
  readonly #mayBeLeft: boolean;
  readonly #headway: Headway;
  /** Ids of those that had ended when it was looked at first: perhaps long ago. */
  #past: ReadonlySet<string> | undefined;
  /** Ids by slot. The engine forgets what is long past. */
  readonly #ended = new Map<string, Set<string>>();
  #steady = { ids: "", sinceMs: 0 };

  /** @param definition what was sent */
  constructor(definition: JsonObject, patienceMs: number) {
    const { monitorMs, batchMs } = timesOf(definition);
    [this.#monitorMs, this.#mayBeLeft] = [monitorMs, endsSomeTime(definition)];
    this.#headway = new Headway(patienceMs, batchMs);
  }

  /** @param nowMs of a clock that nobody sets; undefined: not yet to be told */
  judge(rollout: Rollout, nowMs: number): Convergence | undefined {
    const { update, progress } = rollout;
    const [stallMs, failing] = [this.#headway.findStall(rollout, nowMs), this.#findFailing(rollout)];
    if (update.updateState === "paused") return failed(update.updateMessage, rollout.own);
    if (failing !== undefined) return failed(failing, rollout.own);
    if (this.#hasComeUp(rollout, nowMs)) return { kind: "converged" };
    if (stallMs === undefined) return undefined;
    const { running, wanted = "all" } = progress;
    const why = `${running} of ${wanted} run, and nothing has moved for ${Math.round(stallMs / 1000)} s`;
    return failed(why, rollout.own);
  }

  #hasComeUp({ isAll, own, update, progress }: Rollout, nowMs: number): boolean {
    const running = own.filter(({ state, desired }) => state === "running" && desired === "running");
    const ids = isAll
      ? running
          .map(({ id }) => id)
          .sort()
          .join()
      : "";
    if (ids !== this.#steady.ids) this.#steady = { ids, sinceMs: nowMs };
    if (!isAll || update.updateState === "updating") return false;
    const isWatched = update.updateState === "completed" || progress.wanted === 0;
    return isWatched || nowMs - this.#steady.sinceMs >= this.#monitorMs;
  }

  #findFailing({ own, progress }: Rollout): string | undefined {
    const ended = own.filter(hasEnded);
    this.#past ??= new Set(ended.map(({ id }) => id));
    for (const { id, slot } of ended) {
      if (!this.#past.has(id)) this.#ended.set(slot, (this.#ended.get(slot) ?? new Set()).add(id));
    }
    const [failing] = [...this.#ended].find(([, ids]) => ids.size >= MAX_FAILURES) ?? [];
    const where = progress.wanted === undefined ? "on the node" : "as replica";
    if (failing !== undefined) return `${where} ${failing} it ended ${MAX_FAILURES} times`;
    const left = this.#mayBeLeft ? findLeft(own, ended) : undefined;
    return left && `${where} ${left.slot} it ended, and the engine starts it no more`;
  }
}

/** The last of a slot where nothing is to come after it. */
function findLeft(own: readonly HeldTask[], ended: readonly HeldTask[]): HeldTask | undefined {
  const alive = new Set(own.filter((task) => !isPast(task)).map(({ slot }) => slot));
  return ended.find((task) => isPast(task) && !alive.has(task.slot));
}

const isPast = ({ desired }: HeldTask): boolean => desired === "shutdown";

/** Whether its restart policy lets the engine leave a task that ended. */
function endsSomeTime({ TaskTemplate }: JsonObject): boolean {
  const policy = isJsonObject(TaskTemplate) ? TaskTemplate.RestartPolicy : undefined;
  if (!isJsonObject(policy)) return false;
  const { Condition = "any", MaxAttempts = 0 } = policy;
  return Condition !== "any" || MaxAttempts !== 0;
}

/** With what the tasks themselves said. */
function failed(why: string, own: readonly HeldTask[]): Convergence {
  const errors = own.flatMap(({ error, state }) => {
    if (state === "complete") return [`${state}: exit status 0`];
    return error === "" ? [] : [`${state}: ${error}`];
  });
  return { kind: "failed", reason: [why, ...[...new Set(errors)].slice(0, MAX_ERRORS)].join("; ") };
}
