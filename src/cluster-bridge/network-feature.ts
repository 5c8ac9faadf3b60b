import { describeError } from "../http/log.ts";
import { ChangeJournal } from "./changes/change-journal.ts";
import { networkActions } from "./changes/network-changes.ts";
import { nodeActions } from "./changes/node-changes.ts";
import { look } from "./changes/recovery.ts";
import { sealedActions } from "./changes/sealed-changes.ts";
import type { OpenFeature } from "./feature.ts";

const RECOVER_MS = 5_000;

/** Networks, secrets, configs and nodes, as operators change them. */
export const openNetworks: OpenFeature = (core) => {
  const changes = new ChangeJournal(core);
  const recover = (): Promise<void> => changes.recover((began) => look(core.engines.manager(), began));
  let timer: NodeJS.Timeout | undefined;
  const again = (): void =>
    void recover().catch((error: unknown) => core.log.error("bridge.recover", describeError(error)));
  return {
    actions: { ...networkActions(core, changes), ...sealedActions(core, changes), ...nodeActions(core, changes) },
    // What was begun before the bridge was killed; then, what the engine leaves open.
    start: () => {
      timer = setInterval(again, RECOVER_MS);
      return recover();
    },
    close: async () => clearInterval(timer),
  };
};
