import { ChangeJournal } from "./changes/change-journal.ts";
import { networkActions } from "./changes/network-changes.ts";
import { nodeActions } from "./changes/node-changes.ts";
import { isDone } from "./changes/recovery.ts";
import { sealedActions } from "./changes/sealed-changes.ts";
import type { OpenFeature } from "./feature.ts";

/** Networks, secrets, configs and nodes, as operators change them. */
export const openNetworks: OpenFeature = (core) => {
  const changes = new ChangeJournal(core);
  return {
    actions: { ...networkActions(core, changes), ...sealedActions(core, changes), ...nodeActions(core, changes) },
    start: () => changes.recover((began) => isDone(core.engines.manager(), began)),
  };
};
