/** The bridge as an operator runs it: `goldseal bridge`, a process of its own with a file of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { launcher, projectRoot } from "../harness/server.ts";

export class BridgeProcess {
  readonly folder: string;
  readonly port: number;
  #child: ChildProcess | undefined;
  #printed = "";

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
    return this.#printed;
  }

  /** Resolves when it is ready. @throws Error with all it printed when it ends before */
  async start(config: object, env: Readonly<Record<string, string>> = {}): Promise<void> {
    const file = join(this.folder, "bridge.yaml");
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ ...config, store: this.store, listen: `127.0.0.1:${this.port}` }));
    const child = spawn("node", [launcher, "bridge"], {
      // A group of its own: a kill reaches the bridge itself too.
      ...{ cwd: projectRoot, env: { ...process.env, GOLDSEAL_BRIDGE_CONFIG: file, ...env }, detached: true },
      stdio: ["ignore", "pipe", "pipe"],
    });
    [this.#child, this.#printed] = [child, ""];
    const ready = Promise.withResolvers<void>();
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#printed += text;
        if (/^bridge ready /m.test(this.#printed)) ready.resolve();
      });
    const endWithUs = (): void => this.#signalGroup("SIGTERM");
    process.once("exit", endWithUs);
    child.once("exit", (status) => {
      process.removeListener("exit", endWithUs);
      ready.reject(new Error(`the bridge ended (${status}):\n${this.#printed}`));
    });
    await ready.promise;
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === undefined || this.hasEnded) return;
    const exited = once(child, "exit");
    if (signal === "SIGKILL") this.#signalGroup(signal);
    else child.kill(signal);
    await exited;
  }

  get hasEnded(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves when it has ended, by itself or by somebody else. */
  async ended(): Promise<void> {
    if (this.#child !== undefined && !this.hasEnded) await once(this.#child, "exit");
  }

  #signalGroup(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid;
    if (pid !== undefined && !this.hasEnded) process.kill(-pid, signal);
  }
}
