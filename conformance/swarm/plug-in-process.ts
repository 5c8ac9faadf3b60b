/** A manager's authorization plug-in as an operator runs it: `goldseal authz-plugin`. */
import { GoldsealProcess } from "./goldseal-process.ts";

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
