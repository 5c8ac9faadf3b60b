import { setTimeout as delay } from "node:timers/promises";
import type { JsonObject } from "../oci/json.ts";
import { findDifference } from "./same-definition.ts";
import type { Swarm } from "./swarm.ts";

/** How far a service is. */
export interface Progress {
  readonly running: number;
  /** Undefined: on as many nodes as fit. */
  readonly wanted: number | undefined;
  /** Of the engine's update. */
  readonly state: string;
}

export type Convergence = { readonly kind: "converged" } | { readonly kind: "failed"; readonly reason: string };

export interface Watch {
  readonly swarm: Swarm;
  readonly service: string;
  /** What was sent. */
  readonly definition: JsonObject;
  readonly deadlineMs: number;
  readonly onProgress: (progress: Progress) => void;
}

const POLL_MS = 200;

/**
 * Resolves when as many tasks run as the service shall have, each of what was sent, and the engine's update is done; or when
 * the engine paused it, or it took too long.
 */
export async function converge({ swarm, service, definition, deadlineMs, onProgress }: Watch): Promise<Convergence> {
  const endsMs = performance.now() + deadlineMs;
  const { wanted, container } = wantedOf(definition);
  let last = "";
  for (;;) {
    const held = await swarm.findService(service);
    if (held === undefined) return { kind: "failed", reason: "the service is gone" };
    const tasks = await swarm.tasks(held.id);
    const own = tasks.filter((task) => findDifference(container, task.container, CONTAINER) === undefined);
    const running = own.filter(({ state }) => state === "running").length;
    const progress = { running, wanted, state: held.updateState ?? "created" };
    if (JSON.stringify(progress) !== last) onProgress(progress);
    last = JSON.stringify(progress);
    if (held.updateState === "paused") return failed(held.updateMessage, await swarm.failures(held.id));
    const isAll = running === tasks.length && (wanted === undefined ? running > 0 : running === wanted);
    if (isAll && held.updateState !== "updating") return { kind: "converged" };
    if (performance.now() > endsMs) {
      return failed(`${running} of ${wanted ?? "all"} run after ${deadlineMs / 1000} s`, await swarm.failures(held.id));
    }
    await delay(POLL_MS);
  }
}

const CONTAINER = "TaskTemplate.ContainerSpec";

function failed(why: string, errors: readonly string[]): Convergence {
  return { kind: "failed", reason: [why, ...errors].join("; ") };
}

function wantedOf(definition: JsonObject) {
  const { Mode, TaskTemplate } = definition as { readonly Mode: JsonObject; readonly TaskTemplate: JsonObject };
  const { Replicas } = (Mode.Replicated ?? {}) as JsonObject;
  return { wanted: typeof Replicas === "number" ? Replicas : undefined, container: TaskTemplate.ContainerSpec };
}
