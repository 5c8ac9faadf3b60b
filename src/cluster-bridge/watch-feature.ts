import { randomUUID } from "node:crypto";
import { breakGlass } from "./break-glass.ts";
import type { Core } from "./core.ts";
import type { OpenFeature } from "./feature.ts";
import { Alarms } from "./watch/alarms.ts";
import { followEvents } from "./watch/cluster-events.ts";
import { Lookout } from "./watch/lookout.ts";
import { ManifestMemory } from "./watch/manifest-memory.ts";
import { Reactions } from "./watch/reactions.ts";
import { Reactor } from "./watch/reactor.ts";
import { type Placed, Standings } from "./watch/standings.ts";
import { type Pace, Watch } from "./watch/watch.ts";
import { addWatchGauges, findWatchFaults } from "./watch/watch-figures.ts";

/** What runs, against what was signed. */
export const openWatch: OpenFeature = (core) => {
  const watch = composeWatch(core);
  addWatchGauges(core);
  const ended = new AbortController();
  let following: Promise<void> = Promise.resolve();
  let startedAt: Date | undefined;
  return {
    start: async () => {
      startedAt = core.now();
      watch.start();
      const manager = core.engines.manager();
      following = followEvents(manager, { signal: ended.signal, onEvent: () => watch.wake() });
    },
    close: async () => {
      ended.abort();
      await Promise.all([watch.close(), following]);
    },
    findFaults: async () => findWatchFaults(core, startedAt),
  };
};

export interface WatchTools {
  readonly pace?: Pace;
  /** Milliseconds since some moment, however the clock is set meanwhile. */
  readonly elapsedMs?: () => number;
}

export function composeWatch(core: Core, { pace, elapsedMs = () => performance.now() }: WatchTools = {}): Watch {
  const { engines, journal, ledger, policy, watch: states, now, log, deployer, swarm, decisions } = core;
  const reactions = new Reactions({ deployer, swarm, engines, journal });
  return new Watch({
    ...{ ledger, policy, states, now, elapsedMs, log, alarms: new Alarms({ journal, log }) },
    lookout: new Lookout(engines, { elapsedMs }),
    standings: new Standings({
      decisions: { ...decisions, registry: new ManifestMemory(decisions.registry) },
      ...{ excuse: findExcuse(core), now, elapsedMs },
    }),
    reactor: new Reactor({ journal, ledger, reactions, newId: randomUUID, log }),
    ...(pace === undefined ? {} : { pace }),
  });
}

/** A statement of the holders of the policy keys lets it run until it expires; its use is on record already. */
function findExcuse({ config, decisions }: Core) {
  const { authority, clock } = decisions;
  const deps = { authority, clock, ...config.policyKeys, journal: { append: async () => undefined } };
  return async ({ pinned, environment, breakGlass: envelope }: Placed): Promise<string | undefined> => {
    if (envelope === undefined) return undefined;
    const found = await breakGlass(deps, Buffer.from(envelope, "base64"), { image: pinned, environment });
    return found.kind === "refuse" ? undefined : `without signatures until ${found.expiresAt.toISOString()}`;
  };
}
