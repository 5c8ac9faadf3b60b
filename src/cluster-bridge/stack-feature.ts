import type { OpenFeature } from "./feature.ts";

/** Stacks: several services, networks, secrets and configs by one order. */
export const openStacks: OpenFeature = () => ({});
