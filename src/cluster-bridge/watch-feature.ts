import { randomUUID } from "node:crypto";
import { Alarms } from "./watch/alarms.ts";
import { followEvents } from "./watch/cluster-events.ts";
import type { Feature, OpenFeature } from "./feature.ts";
import { Lookout } from "./watch/lookout.ts";
import { ManifestMemory } from "./watch/manifest-memory.ts";
import { Reactions } from "./watch/reactions.ts";
import { Reactor } from "./watch/reactor.ts";
import { Standings } from "./watch/standings.ts";
import { Watch } from "./watch/watch.ts";
import { addWatchGauges, findWatchFaults } from "./watch/watch-figures.ts";

/** What runs, against what was signed. */
export const openWatch: OpenFeature = (core): Feature => {
  const { engines, journal, ledger, policy, watch: states, now, log, deployer, swarm, decisions } = core;
  const elapsedMs = () => performance.now();
  const reactions = new Reactions({ deployer, swarm, engines, journal });
  const watch = new Watch({
    ...{ ledger, policy, states, now, log, alarms: new Alarms({ journal, log }) },
    lookout: new Lookout(engines),
    standings: new Standings({ ...decisions, registry: new ManifestMemory(decisions.registry) }, { now, elapsedMs }),
    reactor: new Reactor({ journal, ledger, reactions, newId: randomUUID, log }),
  });
  addWatchGauges(core);
  const ended = new AbortController();
  let following: Promise<void> = Promise.resolve();
  return {
    start: async () => {
      watch.start();
      following = followEvents(engines.manager(), { signal: ended.signal, onEvent: () => watch.wake() });
    },
    close: async () => {
      ended.abort();
      await Promise.all([watch.close(), following]);
    },
    findFaults: async () => findWatchFaults(core),
  };
};

