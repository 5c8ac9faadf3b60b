import type { OpenFeature } from "./feature.ts";
import { viewOperations } from "./views/view-operations.ts";
import { readRelaySecret, Viewers } from "./views/viewer.ts";

/** What the cluster is, for whoever may look. */
export const openViews: OpenFeature = async ({ config, decisions, engine, engines, policy }) => {
  const viewers = new Viewers({ policy, clock: decisions.clock, secret: await readRelaySecret(config) });
  const deps = { manager: engine, engines, viewers, findVerdict: () => undefined };
  return { routes: viewOperations(deps).map(({ route }) => route) };
};
