import type { OpenFeature } from "./feature.ts";

/** What the cluster is, for whoever may look. */
export const openViews: OpenFeature = () => ({});
