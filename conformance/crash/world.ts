/** The server under test on its one data folder, started again after each death. */
import { setTimeout as wait } from "node:timers/promises";
import { type RunningServer, startServer } from "../harness/server.ts";
import { Client } from "./client.ts";
import type { Plan } from "./plan.ts";
import { findPostmaster, isAlive, killPostgres, serverProcesses } from "./processes.ts";
import { PUBLIC_URL } from "./trust-operations.ts";
import { Violation } from "./violation.ts";

const WORKERS = 2;
const POLL_MS = 5;
/** A failpoint that was not reached by then is not reached in this cycle. */
const FAILPOINT_MS = 8000;
/** hardening.md P1. */
const RECOVERY_MS = 5000;
/** Writers go on for a while on the database that came back. */
const AFTERWARDS_MS = 200;

export interface Outcome {
  /** Whether the server must be started again. */
  readonly isServerDead: boolean;
  readonly failpoint?: string;
  readonly recoveryMs?: number;
}

export class World {
  readonly data: string;
  readonly #server: RunningServer;
  readonly client: Client;
  readonly startMs: number;

  private constructor(data: string, server: RunningServer, startMs: number) {
    this.data = data;
    this.#server = server;
    this.client = new Client(server);
    this.startMs = startMs;
  }

  /** With the failpoint armed that `plan` names. */
  static async start(data: string, plan: Plan | undefined): Promise<World> {
    const started = performance.now();
    const failpoint = plan?.kind === "failpoint" ? { GOLDSEAL_FAILPOINT: `${plan.name}:${plan.pass}` } : {};
    const env = { GOLDSEAL_TLS: "off", GOLDSEAL_LOG_LEVEL: "error", GOLDSEAL_PUBLIC_URL: PUBLIC_URL, ...failpoint };
    const server = await startServer({ data, workers: WORKERS, env });
    return new World(data, server, performance.now() - started);
  }

  get output(): string {
    return this.#server.output();
  }

  /** Waits as long as the plan says, then does it; returns when the damage is done (and mended, where it mends itself). */
  async strike(plan: Plan): Promise<Outcome> {
    if (plan.kind === "failpoint") return this.#strikeAtFailpoint();
    await wait(plan.afterMs);
    switch (plan.kind) {
      case "postgres":
      case "postgres+backends":
        return this.#strikePostgres(plan.kind === "postgres+backends");
      case "worker":
        return this.#strikeWorker();
      case "primary":
        return this.#strikePrimary();
      default:
        await this.kill(plan.kind === "server+postgres");
        return { isServerDead: true };
    }
  }

  async kill(withPostgres: boolean): Promise<void> {
    const dead = this.#server.kill();
    if (withPostgres) killPostgres(this.data, { withBackends: true });
    await dead;
  }

  /** @throws Error when it does not stop in an orderly way */
  async stop(): Promise<void> {
    this.client.close();
    const status = await this.#server.stop();
    if (status !== 0) throw new Error(`the server stopped with status ${status}:\n${this.output}`);
  }

  /** Primary first. */
  #processes(): number[] {
    return serverProcesses(this.#server.pid, this.data);
  }

  async #strikeAtFailpoint(): Promise<Outcome> {
    const until = performance.now() + FAILPOINT_MS;
    let reached: string | undefined;
    while (reached === undefined && performance.now() < until) {
      await wait(POLL_MS);
      reached = /^failpoint ([\w.]+)$/m.exec(this.output)?.[1];
    }
    await this.kill(false);
    return { isServerDead: true, ...(reached !== undefined && { failpoint: reached }) };
  }

  /** Another takes its place; the others go on. */
  async #strikeWorker(): Promise<Outcome> {
    const [primary, victim = 0, ...others] = this.#processes();
    process.kill(victim, "SIGKILL");
    const struck = performance.now();
    for (;;) {
      const now = this.#processes();
      const isWhole = now.length === WORKERS + 1 && !now.includes(victim);
      if (isWhole && [primary, ...others].every((pid) => pid !== undefined && now.includes(pid))) break;
      if (performance.now() - struck > RECOVERY_MS) {
        throw new Violation("RECOVERY", `no worker in the place of ${victim} after ${RECOVERY_MS} ms: ${now.join()}`);
      }
      await wait(POLL_MS);
    }
    await wait(AFTERWARDS_MS);
    return { isServerDead: false };
  }

  /** No worker may go on without it. */
  async #strikePrimary(): Promise<Outcome> {
    const [primary = 0, ...workers] = this.#processes();
    process.kill(primary, "SIGKILL");
    const struck = performance.now();
    while (workers.some(isAlive)) {
      if (performance.now() - struck > RECOVERY_MS) throw new Violation("RECOVERY", "workers outlive their primary");
      await wait(POLL_MS);
    }
    return { isServerDead: true };
  }

  async #strikePostgres(withBackends: boolean): Promise<Outcome> {
    const before = this.#processes();
    const old = killPostgres(this.data, { withBackends });
    const struck = performance.now();
    const recoveryMs = await this.#waitForRecovery(old, struck);
    await wait(AFTERWARDS_MS);
    const after = this.#processes();
    if (before.join() !== after.join()) {
      throw new Violation("RECOVERY", `processes ${before.join()} became ${after.join()} when PostgreSQL died`);
    }
    return { isServerDead: false, recoveryMs };
  }

  /** Until another PostgreSQL answers a request through the server. */
  async #waitForRecovery(old: number | undefined, struck: number): Promise<number> {
    for (;;) {
      const elapsed = performance.now() - struck;
      if (elapsed > RECOVERY_MS) throw new Violation("RECOVERY", `not back ${RECOVERY_MS} ms after PostgreSQL died`);
      const now = findPostmaster(this.data);
      if (now !== undefined && now !== old) {
        const isBack = await this.client.expect([200], "GET", "/v2/_catalog?n=1").then(
          () => true,
          (error: unknown) => {
            if (error instanceof Violation) throw error;
            return false;
          },
        );
        if (isBack) return performance.now() - struck;
      }
      await wait(POLL_MS);
    }
  }
}
