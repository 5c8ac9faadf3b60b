import { isJsonObject, type JsonObject } from "../oci/json.ts";
import type { Engine } from "./engines.ts";
import type { OpenFeature } from "./feature.ts";

/**
 * Where notes are written, every manager that is known must ask for them: without its plug-in anybody at its engine goes
 * round this bridge.
 * @see docs/decisions/0052
 */
export const openPlugin: OpenFeature = ({ config, engines }) => {
  if (config.engine.allowKeyFile === undefined) return {};
  return {
    findFaults: async () => (await Promise.all(engines.each().map(findFault))).filter((fault) => fault !== undefined),
  };
};

/** One that does not answer is somebody else's to tell. */
async function findFault({ name, client }: Engine): Promise<string | undefined> {
  const info = await client.getObject("/info").catch((): JsonObject => ({}));
  const { Swarm: swarm, Plugins: plugins } = info;
  if (!isJsonObject(swarm) || swarm.ControlAvailable !== true) return undefined;
  const listed = isJsonObject(plugins) ? plugins.Authorization : undefined;
  return Array.isArray(listed) && listed.length > 0 ? undefined : `the manager ${name} has no authorization plug-in on`;
}
