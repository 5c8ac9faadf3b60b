import type { OpenFeature } from "./feature.ts";

/** Networks, secrets, configs and nodes, as operators change them. */
export const openNetworks: OpenFeature = () => ({});
