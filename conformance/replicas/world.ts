/** One PostgreSQL, one blob store, several replicas of the product, nginx before them: what every case here shares. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Blobs } from "../harness/blobs-option.ts";
import { freePort } from "../harness/port.ts";
import { type RunningPostgres, startPostgres } from "../harness/postgres.ts";
import { type Credentials, RegistryClient } from "../harness/registry-client.ts";
import { type RunningServer, startServer } from "../harness/server.ts";
import { type Nginx, startNginx } from "./nginx.ts";

export const ADMIN: Credentials = { name: "admin", password: "conformance-admin-1" };
export const ORGANIZATION = "acme";
const REPLICAS = 3;

export interface Replica {
  readonly port: number;
  /** Talks to this replica alone, past nginx, as admin. */
  readonly direct: RegistryClient;
  server(): RunningServer;
  start(): Promise<void>;
  stop(): Promise<number>;
  kill(): Promise<void>;
}

export interface World {
  readonly postgres: RunningPostgres;
  readonly nginx: Nginx;
  readonly replicas: readonly Replica[];
  /** Talks through nginx as admin. */
  readonly client: RegistryClient;
  readonly folder: string;
  /** What a replica is started with; a case may start one more. */
  env(data: string, port: number): Record<string, string>;
  close(): Promise<void>;
}

/** `blobs` says where all of them keep their blobs; by default a folder that they share. */
export async function openWorld(blobs: Blobs): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-replicas-"));
  chmodSync(folder, 0o711);
  const postgres = await startPostgres();
  const keys = join(folder, "master.key");
  writeFileSync(keys, `k1 ${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const publicPort = await freePort();
  const env = (data: string, port: number): Record<string, string> => ({
    GOLDSEAL_DATA: data,
    GOLDSEAL_LISTEN: `127.0.0.1:${port}`,
    GOLDSEAL_PUBLIC_URL: `https://127.0.0.1:${publicPort}`,
    GOLDSEAL_TLS: "off",
    GOLDSEAL_TRUSTED_PROXIES: "127.0.0.1",
    GOLDSEAL_ADMIN_PASSWORD: ADMIN.password,
    GOLDSEAL_DATABASE_URL: postgres.url,
    GOLDSEAL_BLOBS: `fs:${join(folder, "blobs")}`,
    GOLDSEAL_MASTER_KEY_FILE: keys,
    GOLDSEAL_WORKERS: "1",
    ...blobs.env,
  });
  const replicas: Replica[] = [];
  for (let index = 0; index < REPLICAS; index++) {
    replicas.push(makeReplica(join(folder, `replica-${index}`), await freePort(), env));
  }
  // All at once on an empty database: each finds the migrations done or does them.
  await Promise.all(replicas.map((replica) => replica.start()));
  const nginx = await startNginx(
    join(folder, "nginx"),
    publicPort,
    replicas.map(({ port }) => port),
  );
  const client = new RegistryClient(nginx, ADMIN);
  await mustAnswer(client, `/api/v1/orgs/${ORGANIZATION}`, 201);
  return {
    ...{ postgres, nginx, replicas, client, folder, env },
    close: async () => {
      client.close();
      await Promise.allSettled(replicas.map((replica) => replica.stop()));
      await nginx.stop();
      await postgres.close();
      await blobs.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeReplica(data: string, port: number, env: World["env"]): Replica {
  mkdirSync(data);
  let running: RunningServer | undefined;
  const get = (): RunningServer => {
    if (!running) throw new Error(`the replica on port ${port} is not running`);
    return running;
  };
  return {
    port,
    direct: new RegistryClient({ url: `http://127.0.0.1:${port}`, caPath: "" }, ADMIN),
    server: get,
    start: async () => {
      running = await startServer({ data, env: env(data, port) });
    },
    stop: async () => {
      const server = get();
      running = undefined;
      return server.stop();
    },
    kill: async () => {
      const server = get();
      running = undefined;
      await server.kill();
    },
  };
}

/** `PUT path {}` and its status. */
export async function mustAnswer(client: RegistryClient, path: string, status: number, body = "{}"): Promise<void> {
  const answer = await client.ask(path, { method: "PUT", body: Buffer.from(body) });
  if (answer.status !== status) throw new Error(`PUT ${path} answered ${answer.status}: ${answer.body}`);
}
