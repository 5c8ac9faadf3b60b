import { setTimeout as delay } from "node:timers/promises";
import { describeError } from "../http/log.ts";
import type { Core } from "./core.ts";
import type { OpenFeature } from "./feature.ts";
import { refreshUserns } from "./placement/userns.ts";

const LOOK_MS = 60_000;

/** Where tasks go is decided with each deployment; what is watched between them is whether nodes still map users. */
export const openPlacement: OpenFeature = (core) => {
  const over = new AbortController();
  let looking: Promise<void> = Promise.resolve();
  return {
    start: async () => {
      looking = lookRegularly(core, over.signal);
    },
    close: async () => {
      over.abort();
      await looking;
    },
  };
};

async function lookRegularly({ engines, log }: Core, signal: AbortSignal): Promise<void> {
  for (;;) {
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    await refreshUserns(engines).catch((error: unknown) => log.error("bridge.userns", describeError(error)));
  }
}
