/** One process of the product as an operator runs it: `goldseal bridge`, `goldseal authz-plugin`. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { launcher, projectRoot } from "../harness/server.ts";

export class GoldsealProcess {
  readonly #command: string;
  #child: ChildProcess | undefined;
  #printed = "";

  constructor(command: string) {
    this.#command = command;
  }

  /** Everything it printed since its last start. */
  get output(): string {
    return this.#printed;
  }

  get hasEnded(): boolean {
    return this.#child === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves when it says that it is ready. @throws Error with all it printed when it ends before */
  async start(env: Readonly<Record<string, string>>): Promise<void> {
    const child = spawn("node", [launcher, this.#command], {
      // A group of its own: signals can reach the program itself, not only its launcher.
      ...{ cwd: projectRoot, env: { ...process.env, ...env }, detached: true },
      stdio: ["ignore", "pipe", "pipe"],
    });
    [this.#child, this.#printed] = [child, ""];
    const ready = Promise.withResolvers<void>();
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#printed += text;
        if (new RegExp(`^${this.#command} ready `, "m").test(this.#printed)) ready.resolve();
      });
    const endWithUs = (): void => this.signalGroup("SIGTERM");
    process.once("exit", endWithUs);
    child.once("exit", (status) => {
      process.removeListener("exit", endWithUs);
      ready.reject(new Error(`goldseal ${this.#command} ended (${status}):\n${this.#printed}`));
    });
    await ready.promise;
  }

  signalGroup(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid;
    if (pid !== undefined && !this.hasEnded) process.kill(-pid, signal);
  }

  /** As whoever supervises it does. */
  signalLauncher(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Resolves when it has ended, by itself or by somebody else. */
  async ended(): Promise<void> {
    if (this.#child !== undefined && !this.hasEnded) await once(this.#child, "exit");
  }
}
