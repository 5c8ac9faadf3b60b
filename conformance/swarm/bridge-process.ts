/** The bridge as an operator runs it: `goldseal bridge`, a process of its own with a file of its own. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GoldsealProcess } from "./goldseal-process.ts";

export class BridgeProcess {
  readonly folder: string;
  readonly port: number;
  readonly #process = new GoldsealProcess("bridge");

  /** @param folder where its file and its store are */
  constructor(folder: string, port: number) {
    [this.folder, this.port] = [folder, port];
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get store(): string {
    return join(this.folder, "bridge");
  }

  /** Everything it printed since its last start. */
  get output(): string {
    return this.#process.output;
  }

  /** Resolves when it is ready. @throws Error with all it printed when it ends before */
  async start(config: object, env: Readonly<Record<string, string>> = {}): Promise<void> {
    const file = join(this.folder, "bridge.yaml");
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ ...config, store: this.store, listen: `127.0.0.1:${this.port}` }));
    await this.#process.start({ GOLDSEAL_BRIDGE_CONFIG: file, ...env });
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const ended = this.ended();
    // A kill reaches the bridge itself too.
    if (signal === "SIGKILL") this.#process.signalGroup(signal);
    else this.#process.signalLauncher(signal);
    await ended;
  }

  get hasEnded(): boolean {
    return this.#process.hasEnded;
  }

  /** Resolves when it has ended, by itself or by somebody else. */
  ended(): Promise<void> {
    return this.#process.ended();
  }
}
