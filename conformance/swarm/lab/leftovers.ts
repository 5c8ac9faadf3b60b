/** What a lab could leave on this machine, to compare before and after. */
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { findTool, run } from "../../harness/tools.ts";

const FOLDERS = ["/run", "/run/docker", "/run/netns", "/var/lib", "/etc", tmpdir(), ...cgroupRoots()];

/** A line for each link, firewall rule, mount, control group, and entry of the folders that engines like to write to. */
export async function footprint(): Promise<ReadonlySet<string>> {
  const links = (await linesOf("ip", "-brief", "link")).map((line) => `link ${line.split(/[\s@]/)[0]}`);
  const rules = (await linesOf("iptables-save")).filter((line) => line.startsWith("-A")).map((line) => `rule ${line}`);
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n");
  return new Set([
    ...links,
    ...rules,
    ...mounts.map((line) => `mount ${line.split(" ")[4]}`),
    ...FOLDERS.flatMap((folder) => entriesOf(folder).map((entry) => `file ${folder}/${entry}`)),
    ...processes().map((line) => `process ${line}`),
  ]);
}

/**
 * What is there now and was not before, of this lab. Other labs and suites may run beside it: what bears the name of
 * another, or lies in the temporary folder under a name that no lab gives, is theirs.
 */
export function findLeft(before: ReadonlySet<string>, after: ReadonlySet<string>, name: string): string[] {
  const isTheirs = (line: string): boolean => {
    if (new RegExp(`\\b${name}\\b`).test(line)) return false;
    // Where `goldseal start` keeps a database when root's folders are closed to it.
    if (line.startsWith("file /var/lib/goldseal")) return true;
    return /\bgsl\d+\b/.test(line) || line.startsWith(`file ${tmpdir()}/`) || line.includes(` ${tmpdir()}/`);
  };
  return [...after].filter((line) => !before.has(line) && !isTheirs(line));
}

/** Engines and what they start, by what they were told. */
function processes(): string[] {
  const pids = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  return pids.map(commandOf).filter((line) => /\bgsl\d+\b/.test(line));
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // It has ended meanwhile.
  }
}

async function linesOf(program: string, ...args: readonly string[]): Promise<string[]> {
  const path = findTool(program);
  if (path === undefined) return [];
  const { stdout } = await run(path, args);
  return stdout.split("\n").filter((line) => line !== "");
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // There is none, before as after.
  }
}

/** Of each controller (version 1), and of all (version 2). */
function cgroupRoots(): string[] {
  const root = "/sys/fs/cgroup";
  return [root, ...entriesOf(root).map((entry) => `${root}/${entry}`)];
}
