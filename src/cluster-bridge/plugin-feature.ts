import type { OpenFeature } from "./feature.ts";

/** What the managers' authorization plug-in lets pass. */
export const openPlugin: OpenFeature = () => ({});
