import { openCredentials } from "./credential-feature.ts";
import type { OpenFeature } from "./feature.ts";
import { openNetworks } from "./network-feature.ts";
import { openPlacement } from "./placement-feature.ts";
import { openPlugin } from "./plugin-feature.ts";
import { openServices } from "./service-feature.ts";
import { openStacks } from "./stack-feature.ts";
import { openViews } from "./view-feature.ts";
import { openWatch } from "./watch-feature.ts";

/** All that the bridge can do. They know nothing of each other; what they share is the core. */
export const FEATURES: readonly OpenFeature[] = [
  openServices,
  openStacks,
  openNetworks,
  openPlacement,
  openCredentials,
  openWatch,
  openViews,
  openPlugin,
];
