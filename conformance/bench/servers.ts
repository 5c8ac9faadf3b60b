/** The servers that are measured: Goldseal without TLS, Goldseal as it ships, and Debian's docker-registry. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { freePort } from "../harness/port.ts";
import { projectRoot } from "../harness/server.ts";
import { getTool } from "../harness/tools.ts";

export const ADMIN = { name: "admin", password: "conformance-admin-1" };

export interface Server {
  readonly kind: "goldseal" | "peer";
  readonly url: URL;
  /** PEM of its CA where it speaks TLS. */
  readonly ca: string | undefined;
  /** Of the process that leads all its others. */
  readonly pid: number;
  /** Of what it works with that it did not start itself. */
  readonly beside?: readonly number[];
  readonly data: string;
  stop(): Promise<void>;
}

const READY_SECONDS = 60;
const STOP_MS = 15_000;

export interface GoldsealOptions {
  readonly tls: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** The checkout to start. */
  readonly root?: string;
}

/** Its log goes to a file, as it would to a collector: reading it here would cost the load its time. */
export async function startGoldseal(
  data: string,
  { tls, env = {}, root = projectRoot }: GoldsealOptions,
): Promise<Server> {
  const child = launch("node", [join(root, "bin", "goldseal.mjs"), "start"], {
    log: `${data}.log`,
    cwd: root,
    env: {
      ...env,
      GOLDSEAL_DATA: data,
      GOLDSEAL_LISTEN: "127.0.0.1:0",
      GOLDSEAL_ADMIN_PASSWORD: ADMIN.password,
      GOLDSEAL_TLS: tls ? "auto" : "off",
    },
  });
  const url = await readyUrl(child, `${data}.log`);
  const ca = tls ? readFileSync(join(data, "ca.crt"), "utf8") : undefined;
  return { kind: "goldseal", url, ca, pid: child.pid ?? 0, data, stop: () => stop(child) };
}

/** Debian's configuration but for the folder, the port and authentication, which is off. */
export function startPeer(data: string): Promise<Server> {
  mkdirSync(data, { recursive: true });
  return startDistribution(data, {
    program: "docker-registry",
    storage: `filesystem: { rootdirectory: ${JSON.stringify(data)} }`,
  });
}

export interface DistributionOptions {
  /** `docker-registry` is 2.8, `distribution-v3` is 3. */
  readonly program: string;
  /** YAML of the storage driver; what else stands under `storage`. */
  readonly storage: string;
}

/** `data`.yml and `data`.log are written. */
export async function startDistribution(data: string, { program, storage }: DistributionOptions): Promise<Server> {
  const port = await freePort();
  const file = `${data}.yml`;
  writeFileSync(file, peerConfig(storage, port));
  // 2.8's S3 client panics where the environment names a CA bundle.
  const child = launch(getTool(program), ["serve", file], { log: `${data}.log`, env: { AWS_CA_BUNDLE: "" } });
  const url = new URL(`http://127.0.0.1:${port}`);
  await answers(new URL("/v2/", url), child);
  return { kind: "peer", url, ca: undefined, pid: child.pid ?? 0, data, stop: () => stop(child) };
}

const peerConfig = (storage: string, port: number): string => `version: 0.1
log: { fields: { service: registry } }
storage:
  cache: { blobdescriptor: inmemory }
  ${storage}
  delete: { enabled: true }
http:
  addr: 127.0.0.1:${port}
  secret: bench
  headers: { X-Content-Type-Options: [nosniff] }
health: { storagedriver: { enabled: true, interval: 10s, threshold: 3 } }
`;

export interface Launch {
  readonly log: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export function launch(
  program: string,
  args: readonly string[],
  { log, env, cwd = projectRoot }: Launch,
): ChildProcess {
  const file = openSync(log, "a");
  const isGoldseal = program === "node";
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", isGoldseal ? "pipe" : file, file],
  });
  closeSync(file);
  // Whatever ends the bench ends its servers.
  const end = () => void child.kill("SIGTERM");
  process.once("exit", end);
  child.once("exit", () => process.removeListener("exit", end));
  return child;
}

function readyUrl(child: ChildProcess, log: string): Promise<URL> {
  const { promise, resolve, reject } = Promise.withResolvers<URL>();
  const fail = (what: string) => reject(new Error(`goldseal ${what}:\n${readFileSync(log, "utf8").slice(-4000)}`));
  const timer = setTimeout(() => {
    child.kill("SIGTERM");
    fail(`was not ready within ${READY_SECONDS} s`);
  }, READY_SECONDS * 1000);
  let text = "";
  const exited = (status: number | null) => fail(`exited with ${status} before it was ready`);
  child.once("error", reject).once("exit", exited);
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
    const url = /^ready (\S+)$/m.exec(text)?.[1];
    if (url) resolve(new URL(url));
  });
  return promise.finally(() => {
    clearTimeout(timer);
    child.removeListener("exit", exited);
  });
}

export async function answers(url: URL, child: ChildProcess): Promise<void> {
  for (const until = Date.now() + READY_SECONDS * 1000; Date.now() < until && child.exitCode === null; await wait(20)) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
  }
  throw new Error(`nothing answers at ${url}`);
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await ended;
  clearTimeout(timer);
}
