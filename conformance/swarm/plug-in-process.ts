/** A manager's authorization plug-in as an operator runs it: `goldseal authz-plugin`. */
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GoldsealProcess } from "./goldseal-process.ts";

export interface AllowKey {
  /** PEM file of the private key: the bridge's. */
  readonly own: string;
  /** PEM file of the public one: every plug-in's. */
  readonly shared: string;
}

/** As docs/bridge.md makes it with openssl. */
export function makeAllowKey(folder: string): AllowKey {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const files = { own: join(folder, "allow.key"), shared: join(folder, "allow.pub") };
  writeFileSync(files.own, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
  writeFileSync(files.shared, publicKey.export({ format: "pem", type: "spki" }));
  return files;
}

/** What an engine answers that asked one of these. */
export const DENIED = "authorization denied by plugin goldseal: ";

export class PlugInProcess {
  readonly #env: Readonly<Record<string, string>>;
  readonly #process = new GoldsealProcess("authz-plugin");

  /** @param key PEM file of the bridge's public key */
  constructor(socket: string, key: string) {
    this.#env = { GOLDSEAL_AUTHZ_SOCKET: socket, GOLDSEAL_AUTHZ_KEYS: key };
  }

  /** Everything it printed since its last start: its denials too. */
  get output(): string {
    return this.#process.output;
  }

  /** Resolves when it listens. @throws Error with all it printed when it ends before */
  start(): Promise<void> {
    return this.#process.start(this.#env);
  }

  /** SIGSTOP and SIGCONT too: one that hangs, and one that wakes. */
  signal(signal: NodeJS.Signals): void {
    this.#process.signalGroup(signal);
  }

  async stop(): Promise<void> {
    const ended = this.#process.ended();
    this.signal("SIGTERM");
    await ended;
  }
}
