/** Which death each cycle dies, decided by the seed before it begins. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../harness/server.ts";
import type { Random } from "./random.ts";

export type Plan =
  | { readonly kind: "failpoint"; readonly name: string; readonly pass: number }
  /** Primary and workers, and PostgreSQL in the same moment or not. */
  | { readonly kind: "server" | "server+postgres"; readonly afterMs: number }
  /** PostgreSQL alone, with its backends or leaving them to notice. */
  | { readonly kind: "postgres" | "postgres+backends"; readonly afterMs: number };

const MIN_MS = 20;
const MAX_MS = 2000;
const MAX_PASS = 40;

/** Every name the server calls, read in its source: one that is added there is in the next run. */
export function listFailpoints(): string[] {
  const names = ["registry", "storage"].flatMap((room) => {
    const folder = join(projectRoot, "src", room);
    const files = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
    return files.flatMap((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      return [...text.matchAll(/\bfailpoint\("([\w.]+)"\)/g)].map(([, found]) => found ?? "");
    });
  });
  return [...new Set(names)].sort();
}

/** How many cycles it takes until every failpoint had its turn. */
export const fullRun = (failpoints: readonly string[]): number => failpoints.length * 2;

/**
 * In fours: two failpoints, PostgreSQL under a living server, then that server. Each name has its turn before any has
 * its second.
 */
export function planCycle(cycle: number, failpoints: readonly string[], random: Random): Plan {
  const round = Math.floor(cycle / 4);
  const afterMs = random.between(MIN_MS, MAX_MS);
  if (cycle % 4 === 2) return { kind: round % 2 === 0 ? "postgres" : "postgres+backends", afterMs };
  if (cycle % 4 === 3) return { kind: round % 2 === 0 ? "server" : "server+postgres", afterMs };
  const name = failpoints[(round * 2 + (cycle % 4)) % failpoints.length] ?? "";
  return { kind: "failpoint", name, pass: random.between(1, MAX_PASS) };
}
