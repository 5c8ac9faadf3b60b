import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { hasCode, SetupError } from "./errors.ts";
import { findFile } from "./files.ts";
import { POSTGRES_ENV } from "./postgres-cluster.ts";
import type { Place } from "./postgres-place.ts";

const POLL_MS = 10;
const START_DEADLINE_MS = 60_000;
/** After a crash the old server's processes may hold its shared memory for a moment. */
const HELD_DEADLINE_MS = 15_000;
const MAX_LOG_BYTES = 10 * 1024 * 1024;

/** One running PostgreSQL server, our child. */
export interface Postmaster {
  readonly pid: number;
  /** Settles when it has ended, however it did. */
  readonly ended: Promise<void>;
  /** Fast shutdown; whatever still lives at the deadline is killed, and the next start recovers. */
  stop(deadlineMs: number): Promise<void>;
}

/** Starts the server and waits until it takes connections, recovery included. @throws SetupError with its last words */
export async function startPostmaster(
  place: Place,
  options: { maxConnections: number; signal: AbortSignal },
): Promise<Postmaster> {
  const giveUpAt = Date.now() + HELD_DEADLINE_MS;
  for (;;) {
    options.signal.throwIfAborted();
    const logStart = await rotateLog(place.logFile);
    const postmaster = await launch(place, options.maxConnections);
    if (await becomesReady(place, postmaster, options.signal)) return postmaster;
    await postmaster.stop(0);
    options.signal.throwIfAborted();
    const words = (await findFile(place.logFile))?.slice(logStart).trim() ?? "";
    const isHeld = /still in use|lock file .* already exists/.test(words);
    if (!isHeld || Date.now() > giveUpAt) {
      throw new SetupError(`PostgreSQL does not start (${place.logFile}):\n${words.split("\n").slice(-8).join("\n")}`);
    }
    await wait(100);
  }
}

/**
 * Stops a server that outlived its primary (SIGKILL) and removes a pid file that speaks of nobody. The caller holds the
 * lock of the folder, so whatever serves this cluster is left over.
 */
export async function stopLeftover(cluster: string): Promise<number | undefined> {
  const pidFile = join(cluster, "postmaster.pid");
  const pid = Number((await findFile(pidFile))?.split("\n")[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (!isServing(pid, cluster)) {
    // Its number may have gone to another program, whom PostgreSQL would take for a living server.
    await rm(pidFile, { force: true });
    return undefined;
  }
  for (const [signal, patienceMs] of [
    ["SIGINT", 5000],
    ["SIGQUIT", 2000],
    ["SIGKILL", 2000],
  ] as const) {
    sendSignal(pid, signal);
    for (const until = Date.now() + patienceMs; Date.now() < until; await wait(POLL_MS)) {
      if (!isServing(pid, cluster)) return pid;
    }
  }
  throw new SetupError(`an old PostgreSQL (process ${pid}) on ${cluster} does not end: kill -9 ${pid}`);
}

/** Whether process `pid` is a PostgreSQL server on this cluster. */
export function isServing(pid: number, cluster: string): boolean {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return /(^|\/)postgres$/.test(args[0] ?? "") && args[args.indexOf("-D") + 1] === cluster;
  } catch {
    return false; // no such process
  }
}

async function launch(place: Place, maxConnections: number): Promise<Postmaster> {
  await using log = await open(place.logFile, "a", 0o600);
  const settings = postgresSettings(place, maxConnections).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = spawn(join(place.binaries, "bin", "postgres"), ["-D", place.cluster, ...settings], {
    ...place.user,
    cwd: "/",
    env: POSTGRES_ENV,
    stdio: ["ignore", log.fd, log.fd],
    // Its own session: Ctrl-C must reach us first, so that requests end before their database does.
    detached: true,
  });
  let hasEnded = false;
  const ended = new Promise<void>((done) => {
    const end = (): void => {
      hasEnded = true;
      done();
    };
    child.once("exit", end).once("error", end);
  });
  const spawned = new Promise<void>((done, fail) => child.once("spawn", done).once("error", fail));
  await spawned;
  return {
    pid: child.pid ?? 0,
    ended,
    stop: async (deadlineMs) => {
      if (hasEnded) return;
      child.kill("SIGINT");
      const timer = setTimeout(() => child.kill("SIGQUIT"), deadlineMs);
      const lastResort = setTimeout(() => child.kill("SIGKILL"), deadlineMs + 1000);
      await ended;
      clearTimeout(timer);
      clearTimeout(lastResort);
    },
  };
}

/** The server writes its state into its pid file; pg_ctl waits for it in the same way. */
async function becomesReady(place: Place, postmaster: Postmaster, signal: AbortSignal): Promise<boolean> {
  let hasEnded = false;
  void postmaster.ended.then(() => {
    hasEnded = true;
  });
  const pidFile = join(place.cluster, "postmaster.pid");
  for (const until = Date.now() + START_DEADLINE_MS; Date.now() < until && !hasEnded; await wait(POLL_MS)) {
    if (signal.aborted) return false;
    const lines = (await findFile(pidFile))?.split("\n") ?? [];
    if (Number(lines[0]) === postmaster.pid && lines[7]?.trim() === "ready") return true;
  }
  return false;
}

/** Given on the command line at each start, so that they follow the release and not the day of initdb. */
function postgresSettings(place: Place, maxConnections: number): [string, string | number][] {
  return [
    ["listen_addresses", ""],
    ["unix_socket_directories", place.sockets],
    ["unix_socket_permissions", "0700"],
    ["password_encryption", "scram-sha-256"],
    ["max_connections", maxConnections],
    ["shared_buffers", "128MB"],
    ["wal_buffers", "16MB"],
    ["max_wal_size", "1GB"],
    // What an answer promises is on disk before it is sent.
    ["fsync", "on"],
    ["synchronous_commit", "on"],
    ["full_page_writes", "on"],
    ["jit", "off"],
    ["timezone", "UTC"],
    ["log_timezone", "UTC"],
    ["log_line_prefix", "%m [%p] "],
    ["log_checkpoints", "off"],
    // Statements and their parameters may hold what must not be in a log.
    ["log_min_error_statement", "panic"],
    ["log_parameter_max_length_on_error", 0],
  ];
}

/** Answers where this start's lines will begin. */
async function rotateLog(file: string): Promise<number> {
  try {
    const { size } = await stat(file);
    if (size < MAX_LOG_BYTES) return (await findFile(file))?.length ?? 0;
    await rename(file, `${file}.1`);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
  return 0;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}
