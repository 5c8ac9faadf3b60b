import type { OpenFeature } from "./feature.ts";

/** Where tasks go, and why. */
export const openPlacement: OpenFeature = () => ({});
