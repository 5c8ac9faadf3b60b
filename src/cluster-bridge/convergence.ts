import { setTimeout as delay } from "node:timers/promises";
import type { JsonObject } from "../oci/json.ts";
import { type Progress, toRollout } from "./rollout.ts";
import { type Convergence, RolloutJudge } from "./rollout-judge.ts";
import type { Swarm } from "./swarm.ts";

export interface Watch {
  readonly swarm: Swarm;
  readonly service: string;
  /** What was sent. */
  readonly definition: JsonObject;
  /** For how long nothing may move, beside what the definition itself gives it. */
  readonly patienceMs: number;
  readonly onProgress: (progress: Progress) => void;
}

const POLL_MS = 200;

/** Resolves when the service has come up as it was sent, or has not. */
export async function converge({ swarm, service, definition, patienceMs, onProgress }: Watch): Promise<Convergence> {
  const judge = new RolloutJudge(definition, patienceMs);
  let last = "";
  for (;;) {
    const held = await swarm.findService(service);
    if (held === undefined) return { kind: "failed", reason: "the service is gone" };
    const rollout = toRollout(definition, held, await swarm.allTasks(held.id));
    const told = JSON.stringify(rollout.progress);
    if (told !== last) onProgress(rollout.progress);
    last = told;
    const end = judge.judge(rollout, performance.now());
    if (end !== undefined) return end;
    await delay(POLL_MS);
  }
}
