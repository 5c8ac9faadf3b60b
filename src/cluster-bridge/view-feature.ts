import type { OpenFeature } from "./feature.ts";
import { viewOperations } from "./views/view-operations.ts";
import { readRelaySecret, Viewers } from "./views/viewer.ts";

/** What the cluster is, for whoever may look. */
export const openViews: OpenFeature = async ({ config, decisions, engines, policy, watch }) => {
  const viewers = new Viewers({ policy, clock: decisions.clock, secret: await readRelaySecret(config) });
  const operations = viewOperations({ manager: engines.manager(), engines, viewers, watch });
  return { routes: operations.map(({ route }) => route) };
};
