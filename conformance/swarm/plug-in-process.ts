/** A manager's authorization plug-in as an operator runs it: `goldseal authz-plugin`. */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { launcher, projectRoot } from "../harness/server.ts";

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
  #child: ChildProcess | undefined;
  #printed = "";

  /** @param key PEM file of the bridge's public key */
  constructor(socket: string, key: string) {
    this.#env = { GOLDSEAL_AUTHZ_SOCKET: socket, GOLDSEAL_AUTHZ_KEYS: key };
  }

  /** Everything it printed since its last start: its denials too. */
  get output(): string {
    return this.#printed;
  }

  /** Resolves when it listens. @throws Error with all it printed when it ends before */
  async start(): Promise<void> {
    const child = spawn("node", [launcher, "authz-plugin"], {
      // A group of its own: signals reach the plug-in itself, not only its launcher.
      ...{ cwd: projectRoot, env: { ...process.env, ...this.#env }, detached: true },
      stdio: ["ignore", "pipe", "pipe"],
    });
    [this.#child, this.#printed] = [child, ""];
    const ready = Promise.withResolvers<void>();
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#printed += text;
        if (/^authz-plugin ready /m.test(this.#printed)) ready.resolve();
      });
    const endWithUs = (): void => this.signal("SIGTERM");
    process.once("exit", endWithUs);
    child.once("exit", (status) => {
      process.removeListener("exit", endWithUs);
      ready.reject(new Error(`the plug-in ended (${status}):\n${this.#printed}`));
    });
    await ready.promise;
  }

  /** SIGSTOP and SIGCONT too: one that hangs, and one that wakes. */
  signal(signal: NodeJS.Signals): void {
    const child = this.#child;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, signal);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    this.signal("SIGTERM");
    await exited;
  }
}
