import { readFile } from "node:fs/promises";
import { Gate } from "./cluster-bridge/authz/gate.ts";
import { type RunningPlugIn, startPlugIn } from "./cluster-bridge/authz/plug-in.ts";
import { ConfigError } from "./config.ts";
import type { Log } from "./http/log.ts";
import type { Key } from "./notary/tuf/key.ts";
import { parsePublicKeyFile } from "./notary/tuf/public-key-file.ts";

export interface PlugInSettings {
  readonly socket: string;
  /** PEM of the bridge's public keys: more than one while a key is changed. */
  readonly keyFiles: readonly string[];
}

/**
 * A manager's authorization plug-in, a process of its own: it reaches nothing but its socket.
 * @throws ConfigError for a file that holds no public key; Error where another one listens
 */
export async function startAuthzPlugIn({ socket, keyFiles }: PlugInSettings, log: Log): Promise<RunningPlugIn> {
  const keys = await Promise.all(keyFiles.map(readKeyFile));
  return startPlugIn({ socket, gate: new Gate(keys, () => new Date()), log });
}

async function readKeyFile(file: string): Promise<Key> {
  try {
    return parsePublicKeyFile(await readFile(file, "utf8")).key;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError([`GOLDSEAL_AUTHZ_KEYS: ${file}: ${why}`]);
  }
}
