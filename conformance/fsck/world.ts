/** One PostgreSQL, one blob store, two replicas of the product, and the command line on each. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../harness/port.ts";
import { startPostgres } from "../harness/postgres.ts";
import { type Credentials, RegistryClient } from "../harness/registry-client.ts";
import { startS3Server } from "../harness/s3-servers.ts";
import { launcher, projectRoot, type RunningServer, startServer } from "../harness/server.ts";
import { type RunResult, run } from "../harness/tools.ts";
import { type Damage, damageFiles, damageObjects } from "./damage.ts";

export const ADMIN: Credentials = { name: "admin", password: "conformance-admin-1" };
export const ORGANIZATION = "acme";
export type Backend = "fs" | "minio";

export interface Replica {
  readonly url: string;
  readonly host: string;
  readonly client: RegistryClient;
  start(env?: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
  kill(): Promise<void>;
  goldseal(...args: string[]): Promise<RunResult>;
}

export interface World {
  readonly backend: Backend;
  readonly first: Replica;
  readonly second: Replica;
  readonly damage: Damage;
  readonly folder: string;
  /** What `goldseal doctor` on the machine of a replica is told. */
  readonly env: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

export async function openWorld(backend: Backend): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-fsck-"));
  chmodSync(folder, 0o711);
  const postgres = await startPostgres();
  const s3 = backend === "minio" ? await startS3Server("minio") : undefined;
  const keys = join(folder, "master.key");
  writeFileSync(keys, `k1 ${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const ports = [await freePort(), await freePort()] as const;
  const env = {
    GOLDSEAL_PUBLIC_URL: `http://127.0.0.1:${ports[0]}`,
    GOLDSEAL_TLS: "off",
    GOLDSEAL_ADMIN_PASSWORD: ADMIN.password,
    GOLDSEAL_DATABASE_URL: postgres.url,
    GOLDSEAL_BLOBS: s3?.url("blobs") ?? `fs:${join(folder, "blobs")}`,
    GOLDSEAL_MASTER_KEY_FILE: keys,
    GOLDSEAL_WORKERS: "1",
    GOLDSEAL_GC_EVERY_MINUTES: "off",
    ...s3?.env,
  };
  const [first, second] = ports.map((port, index) => makeReplica(join(folder, `replica-${index}`), port, env)) as [
    Replica,
    Replica,
  ];
  await Promise.all([first.start(), second.start()]);
  const made = await first.client.ask(`/api/v1/orgs/${ORGANIZATION}`, { method: "PUT", body: Buffer.from("{}") });
  if (made.status !== 201) throw new Error(`the organization was not made: ${made.status}`);
  const damage = s3 === undefined ? damageFiles(join(folder, "blobs")) : damageObjects(s3);
  return {
    ...{ backend, first, second, damage, folder, env },
    close: async () => {
      damage.close();
      await Promise.allSettled([first.stop(), second.stop()]);
      await postgres.close();
      await s3?.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makeReplica(data: string, port: number, env: Readonly<Record<string, string>>): Replica {
  mkdirSync(data);
  const url = `http://127.0.0.1:${port}`;
  let running: RunningServer | undefined;
  return {
    url,
    host: `127.0.0.1:${port}`,
    client: new RegistryClient({ url, caPath: "" }, ADMIN),
    start: async (more = {}) => {
      const all = { ...env, GOLDSEAL_DATA: data, GOLDSEAL_LISTEN: `127.0.0.1:${port}`, ...more };
      running = await startServer({ data, env: all });
    },
    stop: async () => void (await running?.stop()),
    kill: async () => running?.kill(),
    goldseal: (...args) => goldseal(url, args),
  };
}

/** As an operator runs it, on another machine. */
export function goldseal(url: string, args: readonly string[], more: Record<string, string> = {}): Promise<RunResult> {
  const env = { GOLDSEAL_PUBLIC_URL: url, GOLDSEAL_ADMIN_PASSWORD: ADMIN.password, GOLDSEAL_DATA: "/nonexistent" };
  return run("node", [launcher, ...args], { cwd: projectRoot, env: { ...env, ...more } });
}
