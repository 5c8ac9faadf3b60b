import type { OpenFeature } from "./feature.ts";

/** What nodes pull with. */
export const openCredentials: OpenFeature = () => ({});
