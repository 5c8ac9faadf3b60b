/** The processes of one server, found in /proc, and their sudden deaths. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const POLL_MS = 5;

/** Every living process's parent. */
function parents(): Map<number, number> {
  const found = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The second field is a name in parentheses that may hold anything.
      const [state, parent] = readFileSync(`/proc/${name}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      if (state !== "Z") found.set(Number(name), Number(parent));
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

const childrenOf = (pid: number): number[] =>
  [...parents()].filter(([, parent]) => parent === pid).map(([child]) => child);

export const isAlive = (pid: number): boolean => parents().has(pid);

/** Primary, then workers, without PostgreSQL: they must outlive it. `launcher` started the primary. */
export function serverProcesses(launcher: number, data: string): number[] {
  const postmaster = findPostmaster(data);
  const primaries = childrenOf(launcher);
  const workers = primaries.flatMap(childrenOf).filter((pid) => pid !== postmaster);
  return [...primaries, ...workers.sort((a, b) => a - b)];
}

/** The embedded PostgreSQL of a data folder, ready or not; undefined when its pid file names nobody. */
export function findPostmaster(data: string): number | undefined {
  try {
    const pid = Number(readPidFile(data)[0]);
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(clusterOf(data)) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Where it listens: the data folder's path may be too long for a socket. */
export function findSocketFolder(data: string): string {
  return readPidFile(data)[4] ?? "";
}

const readPidFile = (data: string): string[] =>
  readFileSync(join(clusterOf(data), "postmaster.pid"), "utf8").split("\n");

/** In the data folder, unless PostgreSQL's user cannot reach it there. */
function clusterOf(data: string): string {
  const elsewhere = join(data, "postgres.folder");
  return existsSync(elsewhere) ? readFileSync(elsewhere, "utf8").trim() : join(data, "postgres");
}

/** SIGKILL to the postmaster, and to its backends too; answers whom it was. */
export function killPostgres(data: string, { withBackends }: { withBackends: boolean }): number | undefined {
  const postmaster = findPostmaster(data);
  if (postmaster === undefined) return undefined;
  const victims = withBackends ? [postmaster, ...childrenOf(postmaster)] : [postmaster];
  for (const pid of victims) signal(pid, "SIGKILL");
  return postmaster;
}

/** Who ended in the moment it was found needs no signal any more. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The end of an immediate shutdown, which writes nothing, but leaves no shared memory behind as a kill does. */
export async function quitPostgres(data: string): Promise<void> {
  const postmaster = findPostmaster(data);
  if (postmaster === undefined) return;
  signal(postmaster, "SIGQUIT");
  while (isAlive(postmaster)) await wait(POLL_MS);
}
