/** What /proc says of a server and all that it started. */
import { readdirSync, readFileSync } from "node:fs";

export interface ProcessFigures {
  readonly pid: number;
  readonly role: "launcher" | "primary" | "worker" | "postgres" | "peer";
  /** Resident MiB. */
  readonly rss: number;
  /** Resident MiB with what is shared divided among those who share it. */
  readonly pss: number;
}

/** CPU ticks are hundredths of a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds that the server and all it started have used so far; quieter than a rate when others use the machine too. */
export function cpuSeconds(root: number): number {
  let ticks = 0;
  for (const pid of tree(root)) {
    const fields = statFields(pid);
    // utime, stime of the process itself; counted from the state, the field behind the name.
    if (fields) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** CPU time to the nanosecond, for short runs: of the threads that are there now. Hundredths where the kernel counts no better. */
export function cpuNanos(root: number): number {
  let nanos = 0;
  for (const pid of tree(root)) {
    try {
      for (const task of readdirSync(`/proc/${pid}/task`))
        nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
    } catch {} // it ended while we looked
  }
  return nanos || cpuSeconds(root) * 1e9;
}

export function processesOf(root: number, kind: "goldseal" | "peer"): ProcessFigures[] {
  return tree(root).flatMap((pid) => {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      const rss = kibibytes(readFileSync(`/proc/${pid}/status`, "utf8"), "VmRSS") / 1024;
      const pss = kibibytes(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"), "Pss") / 1024;
      return [{ pid, role: kind === "peer" ? "peer" : roleOf(args), rss, pss }];
    } catch {
      return []; // it ended while we looked
    }
  });
}

/** Resident MiB of one process. {@link processesOf} has every page counted, which takes its time. */
export function residentOf(pid: number): number {
  try {
    return kibibytes(readFileSync(`/proc/${pid}/status`, "utf8"), "VmRSS") / 1024;
  } catch {
    return 0; // it ended
  }
}

function roleOf(args: readonly string[]): ProcessFigures["role"] {
  if (/(^|\/)postgres(:|$)/.test(args[0] ?? "")) return "postgres";
  if (args.some((arg) => arg.endsWith("goldseal.mjs"))) return "launcher";
  return args.includes("worker") ? "worker" : "primary";
}

function kibibytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
}

function tree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statFields(Number(name))?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
