/** Where a run of the bench keeps everything: one folder, gone with the run however that ends. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PREFIX = "goldseal-bench-";
/** PostgreSQL needs less; what waits for connections of ours, which stay open, need not end well. */
const STOP_MS = 3_000;
const LOOK_MS = 50;
const PARENT_MS = 500;
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Makes the folder, and has all temporary folders of this process and of what it starts made in it. It is removed when
 * the process ends by itself, by a signal, or because its parent is gone; what a SIGKILL left behind, by the next run.
 */
export function openWorkspace(): string {
  removeStale();
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  // Run by root, PostgreSQL is `nobody` and must pass here: its cluster would go to /var/lib/goldseal, and stay.
  chmodSync(folder, 0o711);
  process.env.TMPDIR = folder;
  process.once("exit", () => remove(folder));
  // Not `once`: a second signal would end the process before the folder is gone.
  for (const [signal, number] of Object.entries(SIGNALS)) process.on(signal, () => process.exit(128 + number));
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.exit(1), PARENT_MS).unref();
  return folder;
}

function removeStale(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = /^goldseal-bench-(\d+)-/.exec(name)?.[1];
    // Another process may have the number by now.
    if (pid === undefined || textOf(pid, "cmdline").includes("conformance/bench")) continue;
    const folder = join(tmpdir(), name);
    console.log(`removing ${folder}, left behind by a run that was killed`);
    remove(folder);
  }
}

/** Nothing is waited for: this is the last that a process does. */
function remove(folder: string): void {
  const isUsed = (): boolean => usersOf(folder).length > 0;
  signalUsers(folder, "SIGTERM");
  for (const until = Date.now() + STOP_MS; isUsed() && Date.now() < until; ) pause();
  while (isUsed()) {
    signalUsers(folder, "SIGKILL");
    pause();
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
}

function signalUsers(folder: string, signal: NodeJS.Signals): void {
  for (const pid of usersOf(folder)) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself.
    }
  }
}

/** Processes that were started with the folder, or a file in it, as an argument or in the environment. */
function usersOf(folder: string): number[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => `${textOf(pid, "cmdline")}${textOf(pid, "environ")}`.includes(folder))
    .map(Number);
}

/** Empty for a process that is over, or not ours to look at. */
function textOf(pid: string, file: "cmdline" | "environ"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
