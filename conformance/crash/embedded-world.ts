/** One server with its own PostgreSQL on one data folder, started again after each death; its blobs in there or in a bucket. */
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { ClientConfig } from "pg";
import type { S3Server } from "../harness/s3-servers.ts";
import { type RunningServer, startServer } from "../harness/server.ts";
import { checkBucket, checkBucketSweep } from "./bucket-check.ts";
import { Client } from "./client.ts";
import { embeddedDatabase } from "./database.ts";
import type { Deaths, Plan } from "./plan.ts";
import { findPostmaster, isAlive, killPostgres, serverProcesses } from "./processes.ts";
import { checkStore, type StoreCounts } from "./store-check.ts";
import { Violation } from "./violation.ts";
import {
  AFTERWARDS_MS,
  FAILPOINT_MS,
  failpointEnv,
  findFailpoint,
  type Outcome,
  POLL_MS,
  RECOVERY_MS,
  SERVER_ENV,
  type World,
} from "./world.ts";

const WORKERS = 2;

export class EmbeddedWorld implements World {
  readonly deaths: Deaths;
  readonly #data: string;
  readonly #s3: S3Server | undefined;
  #running: { readonly server: RunningServer; readonly client: Client } | undefined;

  constructor(folder: string, s3?: S3Server) {
    this.#data = join(folder, "data");
    this.#s3 = s3;
    mkdirSync(this.#data);
    chmodSync(this.#data, 0o711);
    const bucket = s3 === undefined ? [] : ["s3" as const];
    this.deaths = {
      livesOn: ["postgres", ...bucket, "postgres+backends", "worker"],
      dies: ["server", "server+postgres", "primary"],
    };
  }

  async start(plan: Plan | undefined): Promise<number> {
    const started = performance.now();
    this.#running?.client.close();
    const s3 = this.#s3;
    const blobs = s3 === undefined ? {} : { ...s3.env, GOLDSEAL_BLOBS: s3.url("blobs") };
    const env = { ...SERVER_ENV, ...blobs, ...failpointEnv(plan) };
    const server = await startServer({ data: this.#data, workers: WORKERS, env });
    this.#running = { server, client: new Client([server]) };
    return performance.now() - started;
  }

  get client(): Client {
    return this.#get().client;
  }

  get each(): readonly Client[] {
    return [this.client];
  }

  get database(): ClientConfig {
    return embeddedDatabase(this.#data);
  }

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
      case "s3":
        return this.#strikeBucket();
      default:
        await this.#kill(plan.kind === "server+postgres");
        return { isDead: true };
    }
  }

  checkStore(): Promise<StoreCounts> {
    if (this.#s3 === undefined) return checkStore(this.database, join(this.#data, "blobs"));
    return checkBucket(this.database, this.#s3);
  }

  async checkSweep(): Promise<void> {
    if (this.#s3 !== undefined) await checkBucketSweep(this, this.#s3);
  }

  kill(): Promise<void> {
    return this.#kill(false);
  }

  async stop(): Promise<void> {
    const { client, server } = this.#get();
    client.close();
    const status = await server.stop();
    if (status !== 0) throw new Error(`the server stopped with status ${status}:\n${server.output()}`);
  }

  async close(): Promise<void> {
    await this.#s3?.stop();
  }

  #get(): { readonly server: RunningServer; readonly client: Client } {
    if (this.#running === undefined) throw new Error("no server was started");
    return this.#running;
  }

  async #kill(withPostgres: boolean): Promise<void> {
    const dead = this.#get().server.kill();
    if (withPostgres) killPostgres(this.#data, { withBackends: true });
    await dead;
  }

  /** Primary first. */
  #processes(): number[] {
    return serverProcesses(this.#get().server.pid, this.#data);
  }

  async #strikeAtFailpoint(): Promise<Outcome> {
    const until = performance.now() + FAILPOINT_MS;
    let reached: string | undefined;
    while (reached === undefined && performance.now() < until) {
      await wait(POLL_MS);
      reached = findFailpoint(this.#get().server.output());
    }
    await this.#kill(false);
    return { isDead: true, ...(reached !== undefined && { failpoint: reached }) };
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
    return { isDead: false };
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
    return { isDead: true };
  }

  async #strikePostgres(withBackends: boolean): Promise<Outcome> {
    const before = this.#processes();
    const old = killPostgres(this.#data, { withBackends });
    const isBack = (): boolean => ![undefined, old].includes(findPostmaster(this.#data));
    return this.#recover("PostgreSQL", before, isBack, "/v2/_catalog?n=1");
  }

  /** The server lives without it, and with it again when it is back. */
  async #strikeBucket(): Promise<Outcome> {
    const before = this.#processes();
    await this.#s3?.kill();
    await wait(AFTERWARDS_MS);
    await this.#s3?.start();
    return this.#recover("the bucket", before, () => true, "/readyz");
  }

  /** Until a request is answered again, by the same processes. */
  async #recover(what: string, before: readonly number[], isBack: () => boolean, path: string): Promise<Outcome> {
    const struck = performance.now();
    while (!isBack() || !(await answers(this.client, path))) {
      const elapsed = performance.now() - struck;
      if (elapsed > RECOVERY_MS) throw new Violation("RECOVERY", `not back ${RECOVERY_MS} ms after ${what} died`);
      await wait(POLL_MS);
    }
    const recoveryMs = performance.now() - struck;
    await wait(AFTERWARDS_MS);
    const after = this.#processes();
    if (before.join() === after.join()) return { isDead: false, recoveryMs };
    throw new Violation("RECOVERY", `processes ${before.join()} became ${after.join()} when ${what} died`);
  }
}

export function answers(client: Client, path: string): Promise<boolean> {
  return client.expect([200], "GET", path).then(
    () => true,
    (error: unknown) => {
      if (error instanceof Violation) throw error;
      return false;
    },
  );
}
