import { access, constants, readFile } from "node:fs/promises";
import { Bridge } from "./cluster-bridge/bridge.ts";
import { bridgeProtocol } from "./cluster-bridge/bridge-api.ts";
import { type BridgeConfig, BridgeConfigError, parseBridgeConfig } from "./cluster-bridge/bridge-config.ts";
import { failpointAt } from "./cluster-bridge/failpoint.ts";
import { lockStore } from "./cluster-bridge/store-lock.ts";
import { ConfigError } from "./config.ts";
import { openDoor } from "./http/door.ts";
import { type Listener, listen } from "./http/listener.ts";
import type { Log } from "./http/log.ts";
import { Metrics } from "./http/metrics.ts";

export interface RunningBridge {
  /** `http://127.0.0.1:5444` */
  readonly url: string;
  /** Takes no new order, and lets go of the engine; what was begun goes on there, and is looked after at the next start. */
  stop(): Promise<void>;
}

export interface BridgeParts {
  readonly log: Log;
  readonly now?: () => Date;
  /** GOLDSEAL_FAILPOINT. */
  readonly failpoint?: { readonly name: string; readonly pass: number } | undefined;
}

const DRAIN_MS = 5_000;

/** @throws ConfigError with every mistake in the file of GOLDSEAL_BRIDGE_CONFIG */
export async function readBridgeConfig(file: string): Promise<BridgeConfig> {
  try {
    return parseBridgeConfig(await readFile(file, "utf8"), file);
  } catch (cause) {
    if (cause instanceof BridgeConfigError) throw new ConfigError(cause.message.split("\n"));
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError([`GOLDSEAL_BRIDGE_CONFIG: ${file}: cannot be read (${why})`]);
  }
}

/** What `goldseal doctor` says of the file of GOLDSEAL_BRIDGE_CONFIG: its mistakes, else what it names and cannot be read. */
export async function findBridgeMistakes(file: string): Promise<readonly string[]> {
  let config: BridgeConfig;
  try {
    config = await readBridgeConfig(file);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  const unread = await Promise.all(
    [...new Set(filesOf(config))].map((named) =>
      access(named, constants.R_OK).then(
        () => [],
        (error: Error) => [`GOLDSEAL_BRIDGE_CONFIG: ${file}: ${named}: cannot be read (${error.message})`],
      ),
    ),
  );
  return unread.flat();
}

function filesOf({ caFile, account, tls, relay, engine, engines }: BridgeConfig): string[] {
  const ofEngines = [engine, ...engines.values()].flatMap((endpoint) => [
    ...(endpoint.kind === "tcp" ? [endpoint.ca, endpoint.cert, endpoint.key] : []),
    endpoint.allowKeyFile,
  ]);
  const own = [caFile, account?.passwordFile, tls?.certFile, tls?.keyFile, relay?.secretFile];
  return [...own, ...ofEngines].filter((file) => file !== undefined);
}

/**
 * The bridge's process: it opens its own store, its own listener, and nothing of the registry's.
 * @throws BridgeError STORE; Error for a file that cannot be read or an address that is taken
 */
export async function startBridge(
  config: BridgeConfig,
  { log, now = () => new Date(), failpoint }: BridgeParts,
): Promise<RunningBridge> {
  const lock = await lockStore(config.store);
  const die = (): void => void process.kill(process.pid, "SIGKILL");
  const metrics = new Metrics(() => ({ total: 0, idle: 0, waiting: 0 }));
  const bridge = await Bridge.open(config, { now, failpoint: failpointAt(failpoint, die), log, metrics });
  const listener = await openListener(config, bridge, { log, metrics });
  bridge.start();
  const { host } = config.listen;
  const scheme = config.tls === undefined ? "http" : "https";
  return {
    url: `${scheme}://${host.includes(":") ? `[${host}]` : host}:${listener.port}`,
    stop: async () => {
      await listener.drain(DRAIN_MS);
      await bridge.close();
      await lock.release();
    },
  };
}

async function openListener(
  { listen: where, tls }: BridgeConfig,
  bridge: Bridge,
  { log, metrics }: { readonly log: Log; readonly metrics: Metrics },
): Promise<Listener> {
  const handler = openDoor({
    ...{ log, metrics, gate: async () => undefined },
    protocols: [bridgeProtocol(bridge, () => metrics.registry.metrics())],
    witness: { refused: (_request, error) => error, answered: () => undefined },
  });
  if (tls === undefined) return listen(handler, where);
  const [cert, key] = await Promise.all([readFile(tls.certFile, "utf8"), readFile(tls.keyFile, "utf8")]);
  return listen(handler, { ...where, tls: { cert, key } });
}
