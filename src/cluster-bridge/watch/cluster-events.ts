import { setTimeout as delay } from "node:timers/promises";
import type { EngineClient } from "../engine-client.ts";

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** Something may have changed; what, is looked at. */
  readonly onEvent: () => void;
}

const FILTERS = encodeURIComponent(JSON.stringify({ scope: ["swarm"], type: ["service", "node"] }));
const AGAIN_MS = 1_000;

/**
 * Hears of services and nodes as a manager does, and of another manager's when that one is gone. It only makes the next look
 * come sooner: events may be lost, and of containers no manager tells any.
 */
export async function followEvents(manager: EngineClient, { signal, onEvent }: FollowOptions): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const _some of await manager.stream(`/events?filters=${FILTERS}`, signal)) onEvent();
    } catch {
      // Whoever looks says that no manager is there.
    }
    await delay(AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}
