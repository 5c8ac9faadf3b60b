/** The server under test on its one data folder, started again after each death. */
import { setTimeout as wait } from "node:timers/promises";
import { type RunningServer, startServer } from "../harness/server.ts";
import { Client } from "./client.ts";
import type { Plan } from "./plan.ts";
import { findPostmaster, killPostgres, serverProcesses } from "./processes.ts";
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
    const env = { GOLDSEAL_TLS: "off", GOLDSEAL_LOG_LEVEL: "error", ...failpoint };
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
    if (plan.kind === "postgres" || plan.kind === "postgres+backends") {
      return this.#strikePostgres(plan.kind === "postgres+backends");
    }
    await this.kill(plan.kind === "server+postgres");
    return { isServerDead: true };
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

  async #strikePostgres(withBackends: boolean): Promise<Outcome> {
    const before = serverProcesses(this.#server.pid, this.data);
    const old = killPostgres(this.data, { withBackends });
    const struck = performance.now();
    const recoveryMs = await this.#waitForRecovery(old, struck);
    await wait(AFTERWARDS_MS);
    const after = serverProcesses(this.#server.pid, this.data);
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
