/** Control groups outlive the processes in them: an engine leaves its containers' behind when it is killed. */
import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "./engine.ts";

const ROOT = "/sys/fs/cgroup";

/** Folders of this name: directly in the root (version 2), or in each controller's (version 1). */
export function findCgroups(name: string): string[] {
  const tops = readdirSync(ROOT, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const places = [ROOT, ...tops.map((entry) => join(ROOT, entry.name))];
  return places.map((place) => join(place, name)).filter((path) => existsSync(path));
}

/** @throws Error when a process still runs in one of them */
export async function removeCgroups(name: string): Promise<void> {
  await until(`the control groups ${name} can be removed`, () => {
    for (const path of findCgroups(name)) removeTree(path);
    return true;
  });
}

/** Their files cannot be removed, and need not. */
function removeTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(path, entry.name));
  rmdirSync(path);
}
