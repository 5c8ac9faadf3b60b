import type { OpenFeature } from "./feature.ts";

/** What runs, against what was signed. */
export const openWatch: OpenFeature = () => ({});
