import type { OpenFeature } from "./feature.ts";
import { PluginProbe } from "./plugin-probe.ts";

/**
 * Where notes are written, every manager that is known must ask for them: without its plug-in anybody at its engine goes
 * round this bridge.
 * @see docs/decisions/0052
 */
export const openPlugin: OpenFeature = ({ config, engines, now }) => {
  if (config.engine.allowKeyFile === undefined) return {};
  const probe = new PluginProbe({ engines, now });
  return { findFaults: () => probe.findFaults() };
};
