/** Two servers over one PostgreSQL and one folder or bucket; writers ask them by turns, as through a balancer. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { ClientConfig } from "pg";
import { freePort } from "../harness/port.ts";
import { type RunningPostgres, startPostgres } from "../harness/postgres.ts";
import type { S3Server } from "../harness/s3-servers.ts";
import { type RunningServer, startServer } from "../harness/server.ts";
import { checkBucket, checkBucketSweep } from "./bucket-check.ts";
import { Client } from "./client.ts";
import { answers } from "./embedded-world.ts";
import type { Deaths, Plan } from "./plan.ts";
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

interface Replica {
  readonly data: string;
  /** The same after each start. */
  readonly port: number;
  server: RunningServer | undefined;
}

export class ReplicaWorld implements World {
  readonly deaths: Deaths;
  readonly #postgres: RunningPostgres;
  readonly #s3: S3Server | undefined;
  readonly #folder: string;
  readonly #replicas: readonly Replica[];
  #armed: Replica | undefined;
  #clients: { readonly all: Client; readonly each: readonly Client[] } | undefined;
  #strikes = 0;

  private constructor(folder: string, postgres: RunningPostgres, ports: readonly number[], s3: S3Server | undefined) {
    this.#folder = folder;
    this.#postgres = postgres;
    this.#s3 = s3;
    this.#replicas = ports.map((port) => ({ data: join(folder, `replica-${port}`), port, server: undefined }));
    for (const { data } of this.#replicas) mkdirSync(data);
    writeFileSync(join(folder, "master.key"), `k1 ${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    this.deaths = {
      livesOn: ["replica", "postgres", ...(s3 === undefined ? [] : ["s3" as const])],
      dies: ["server", "server+postgres"],
    };
  }

  static async open(folder: string, s3?: S3Server): Promise<ReplicaWorld> {
    chmodSync(folder, 0o711);
    return new ReplicaWorld(folder, await startPostgres(), [await freePort(), await freePort()], s3);
  }

  async start(plan: Plan | undefined): Promise<number> {
    const started = performance.now();
    const dead = this.#replicas.filter(({ server }) => server === undefined);
    // One is to die, the other goes on.
    this.#armed = dead[this.#strikes % dead.length];
    await Promise.all(dead.map((replica) => this.#startOne(replica, replica === this.#armed ? plan : undefined)));
    this.#closeClients();
    const servers = this.#replicas.flatMap(({ server }) => server ?? []);
    this.#clients = { all: new Client(servers), each: servers.map((server) => new Client([server])) };
    return performance.now() - started;
  }

  get client(): Client {
    return this.#getClients().all;
  }

  get each(): readonly Client[] {
    return this.#getClients().each;
  }

  get database(): ClientConfig {
    return { connectionString: this.#postgres.url };
  }

  async strike(plan: Plan): Promise<Outcome> {
    this.#strikes++;
    if (plan.kind === "failpoint") return this.#strikeAtFailpoint();
    await wait(plan.afterMs);
    if (plan.kind === "replica") return this.#strikeReplica();
    if (plan.kind === "s3") return this.#strikeBucket();
    if (plan.kind === "postgres") return this.#strikePostgres();
    const dead = this.kill();
    if (plan.kind === "server+postgres") await this.#crashPostgres();
    await dead;
    return { isDead: true };
  }

  checkStore(): Promise<StoreCounts> {
    if (this.#s3 === undefined) return checkStore(this.database, join(this.#folder, "blobs"));
    return checkBucket(this.database, this.#s3);
  }

  async checkSweep(): Promise<void> {
    if (this.#s3 !== undefined) await checkBucketSweep(this, this.#s3);
  }

  async kill(): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => this.#killOne(replica)));
  }

  async stop(): Promise<void> {
    this.#closeClients();
    for (const replica of this.#replicas) {
      const { server } = replica;
      replica.server = undefined;
      const status = (await server?.stop()) ?? 0;
      if (status !== 0) throw new Error(`a replica stopped with status ${status}:\n${server?.output()}`);
    }
  }

  async close(): Promise<void> {
    await this.#postgres.close();
    await this.#s3?.stop();
  }

  #getClients(): { readonly all: Client; readonly each: readonly Client[] } {
    if (this.#clients === undefined) throw new Error("no replica was started");
    return this.#clients;
  }

  #closeClients(): void {
    for (const client of [this.#clients?.all, ...(this.#clients?.each ?? [])]) client?.close();
  }

  async #startOne(replica: Replica, plan: Plan | undefined): Promise<void> {
    const blobs = this.#s3?.url("blobs") ?? `fs:${join(this.#folder, "blobs")}`;
    const env = {
      ...SERVER_ENV,
      ...this.#s3?.env,
      GOLDSEAL_LISTEN: `127.0.0.1:${replica.port}`,
      GOLDSEAL_DATABASE_URL: this.#postgres.url,
      GOLDSEAL_BLOBS: blobs,
      GOLDSEAL_MASTER_KEY_FILE: join(this.#folder, "master.key"),
      ...failpointEnv(plan),
    };
    replica.server = await startServer({ data: replica.data, workers: 1, env });
  }

  async #killOne(replica: Replica): Promise<void> {
    const { server } = replica;
    replica.server = undefined;
    await server?.kill();
  }

  /** The other one goes on. */
  async #strikeAtFailpoint(): Promise<Outcome> {
    const armed = this.#armed;
    const until = performance.now() + FAILPOINT_MS;
    let reached: string | undefined;
    while (reached === undefined && performance.now() < until) {
      await wait(POLL_MS);
      reached = findFailpoint(armed?.server?.output() ?? "");
    }
    if (armed) await this.#killOne(armed);
    await wait(AFTERWARDS_MS);
    return { isDead: true, ...(reached !== undefined && { failpoint: reached }) };
  }

  async #strikeReplica(): Promise<Outcome> {
    const victim = this.#replicas[this.#strikes % this.#replicas.length];
    if (victim) await this.#killOne(victim);
    await wait(AFTERWARDS_MS);
    return { isDead: true };
  }

  async #strikePostgres(): Promise<Outcome> {
    await this.#crashPostgres();
    const recoveryMs = await this.#recover("PostgreSQL", "/v2/_catalog?n=1");
    return { isDead: false, recoveryMs };
  }

  async #crashPostgres(): Promise<void> {
    await this.#postgres.stop("immediate");
    await this.#postgres.start();
  }

  async #strikeBucket(): Promise<Outcome> {
    await this.#s3?.kill();
    await wait(AFTERWARDS_MS);
    await this.#s3?.start();
    return { isDead: false, recoveryMs: await this.#recover("the bucket", "/readyz") };
  }

  async #recover(what: string, path: string): Promise<number> {
    const struck = performance.now();
    for (const client of this.each) {
      while (!(await answers(client, path))) {
        if (performance.now() - struck > RECOVERY_MS)
          throw new Violation("RECOVERY", `a replica is not back ${RECOVERY_MS} ms after ${what} died`);
        await wait(POLL_MS);
      }
    }
    const recoveryMs = performance.now() - struck;
    await wait(AFTERWARDS_MS);
    return recoveryMs;
  }
}
