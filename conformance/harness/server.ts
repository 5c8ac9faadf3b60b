/** Starts the product as an operator does, `node bin/goldseal.mjs start`, and hands out what a client needs to reach it. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const projectRoot = join(import.meta.dirname, "..", "..");
export const launcher = join(projectRoot, "bin", "goldseal.mjs");
/** What people type: goldseal, for all that is no server. */
export const command = join(projectRoot, "bin", "goldseal");

const ADMIN_PASSWORD = "conformance-admin-1";
const READY_SECONDS = 60;
const STOP_SECONDS = 30;

export interface ServerOptions {
  /** Variables on top of this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** GOLDSEAL_DATA; a folder given here is never removed. Default: a fresh one in the temp folder. */
  readonly data?: string;
  /** GOLDSEAL_WORKERS; default: the product's own. */
  readonly workers?: number;
  /** A program, with its arguments, that runs the server and ends with it: a tracer. */
  readonly under?: readonly string[];
  /** Keep the fresh data folder after `stop()`. */
  readonly keepData?: boolean;
}

export interface RunningServer {
  /** `https://127.0.0.1:45321`, as printed on the ready line. */
  readonly url: string;
  /** `127.0.0.1:45321`: the first part of an image reference. */
  readonly host: string;
  readonly port: number;
  /** PEM file of the server's own CA. */
  readonly caPath: string;
  readonly data: string;
  readonly admin: { readonly name: string; readonly password: string };
  /** The launcher's process id; it leads a process group of its own. */
  readonly pid: number;
  /** Everything printed so far, stdout and stderr in the order they came. */
  output(): string;
  /** SIGTERM; resolves with the exit status, after the fresh data folder is gone. */
  stop(): Promise<number>;
  /** SIGKILL to the launcher and all it started; the data folder stays. */
  kill(): Promise<void>;
}

/** @throws Error with everything the server printed when it exits or is not ready within 60 s */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const data = options.data ?? freshFolder();
  const [program = "node", ...args] = [...(options.under ?? []), "node", launcher, "start"];
  const child = spawn(program, args, {
    cwd: projectRoot,
    // A group of its own, so that kill() reaches the workers too.
    detached: true,
    env: { ...process.env, ...serverEnv(options, data), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  endWithUs(child);
  const captured = capture(child);
  const url = await waitForReady(child, captured).catch(async (error: unknown) => {
    await stop(child, undefined, captured);
    throw error;
  });
  const { host, port } = new URL(url);
  const removeData = options.data === undefined && !options.keepData;
  return {
    url,
    host,
    port: Number(port),
    caPath: join(data, "ca.crt"),
    data,
    admin: { name: "admin", password: options.env?.GOLDSEAL_ADMIN_PASSWORD ?? ADMIN_PASSWORD },
    pid: child.pid ?? 0,
    output: captured.text,
    stop: () => stop(child, removeData ? data : undefined, captured),
    kill: () => kill(child),
  };
}

/** Run by root, the server's Postgres is `nobody` and must pass here: its cluster would go to /var/lib/goldseal, and stay. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-data-"));
  chmodSync(folder, 0o711);
  return folder;
}

/**
 * A suite that ends early, by itself or by a signal, takes its server along: SIGTERM, so that the server also stops its
 * Postgres. Without the handlers a signal would end this process before any "exit" listener runs.
 */
function endWithUs(child: ChildProcess): void {
  for (const [signal, number] of [["SIGTERM", 15] as const, ["SIGINT", 2] as const, ["SIGHUP", 1] as const]) {
    if (process.listenerCount(signal) === 0) process.once(signal, () => process.exit(128 + number));
  }
  const end = () => void child.kill("SIGTERM");
  process.once("exit", end);
  child.once("exit", () => process.removeListener("exit", end));
}

function serverEnv({ workers }: ServerOptions, data: string): Record<string, string> {
  return {
    GOLDSEAL_DATA: data,
    GOLDSEAL_LISTEN: "127.0.0.1:0",
    GOLDSEAL_ADMIN_PASSWORD: ADMIN_PASSWORD,
    ...(workers === undefined ? {} : { GOLDSEAL_WORKERS: String(workers) }),
  };
}

interface Captured {
  text(): string;
  /** Called with all the text so far whenever more has come. */
  onText(listener: (text: string) => void): void;
}

/** Keeps the last 4 MiB: a suite of an hour must not fill memory with request logs. */
function capture(child: ChildProcess): Captured {
  let text = "";
  const listeners: ((text: string) => void)[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text = (text + chunk).slice(-4 * 1024 * 1024);
      for (const listener of listeners) listener(text);
    });
  }
  return { text: () => text, onText: (listener) => void listeners.push(listener) };
}

function waitForReady(child: ChildProcess, captured: Captured): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const fail = (what: string) => reject(new Error(`the server ${what}; it printed:\n${captured.text()}`));
  const timer = setTimeout(() => fail(`was not ready within ${READY_SECONDS} s`), READY_SECONDS * 1000);
  const onExit = (status: number | null, signal: string | null) => fail(`exited (${signal ?? status}) before ready`);
  child.once("error", (error) => fail(`did not start (${error.message})`));
  child.once("exit", onExit);
  captured.onText((text) => {
    const url = /^ready (https?:\/\/\S+)$/m.exec(text)?.[1];
    if (url) resolve(url);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    child.removeListener("exit", onExit);
  });
}

function exited(child: ChildProcess): Promise<number> {
  const status = () => child.exitCode ?? (child.signalCode ? 128 : undefined);
  const already = status();
  if (already !== undefined) return Promise.resolve(already);
  return new Promise((resolve) => child.once("exit", () => resolve(status() ?? 128)));
}

async function stop(child: ChildProcess, remove: string | undefined, captured: Captured): Promise<number> {
  const done = exited(child);
  child.kill("SIGTERM");
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    signalGroup(child, "SIGKILL");
  }, STOP_SECONDS * 1000);
  const status = await done;
  clearTimeout(timer);
  if (remove) rmSync(remove, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  if (timedOut) throw new Error(`the server did not stop within ${STOP_SECONDS} s:\n${captured.text()}`);
  return status;
}

async function kill(child: ChildProcess): Promise<void> {
  const done = exited(child);
  signalGroup(child, "SIGKILL");
  await done;
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (!child.pid) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // The whole group is gone already: what was asked for.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
