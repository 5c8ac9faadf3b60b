/** Which death each cycle dies, decided by the seed before it begins. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../harness/server.ts";
import type { Random } from "./random.ts";

export type Plan =
  | { readonly kind: "failpoint"; readonly name: string; readonly pass: number }
  /** Primary and workers, and PostgreSQL in the same moment or not; or the primary alone, whom the workers follow. */
  | { readonly kind: "server" | "server+postgres" | "primary"; readonly afterMs: number }
  /** The server lives on without PostgreSQL, with its backends or leaving them to notice; or without a worker. */
  | { readonly kind: "postgres" | "postgres+backends" | "worker"; readonly afterMs: number }
  /** It lives on without its bucket; or the other replica does. */
  | { readonly kind: "s3" | "replica"; readonly afterMs: number };

const MIN_MS = 20;
const MAX_MS = 2000;
const MAX_PASS = 20;
/** Of what writers come by rarely. */
const MAX_RARE_PASS = 4;
const RARE = /^(?:mpu|tuf|serverTarget|gc|mount|acl)\./;

export interface FailpointsOf {
  readonly blobs: "fs" | "s3";
  readonly collector: boolean;
}

/** Every name that the server can come by, read in its source: one that is added there is in the next run. */
export function listFailpoints({ blobs, collector }: FailpointsOf): string[] {
  const other = blobs === "fs" ? /^s3-/ : /^fs-/;
  const rooms = ["registry", "notary", "orgs", "storage", ...(collector ? ["storage/gc"] : [])];
  const names = rooms.flatMap((room) => {
    const folder = join(projectRoot, "src", room);
    const files = readdirSync(folder).filter((name) => /(?<!\.test)\.ts$/.test(name) && !other.test(name));
    return files.flatMap((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      return [...text.matchAll(/\bfailpoint\("([\w.]+)"\)/g)].map(([, found]) => found ?? "");
    });
  });
  return [...new Set(names)].sort();
}

/** How many cycles it takes until every failpoint had its turn. */
export const fullRun = (failpoints: readonly string[]): number => failpoints.length * 2;

export interface Deaths {
  readonly livesOn: readonly Exclude<Plan["kind"], "failpoint">[];
  readonly dies: readonly Exclude<Plan["kind"], "failpoint">[];
}

/**
 * In fours: two failpoints, something under a server that lives on, then that server. Each name has its turn before any has
 * its second.
 */
export function planCycle(cycle: number, failpoints: readonly string[], deaths: Deaths, random: Random): Plan {
  const round = Math.floor(cycle / 4);
  const afterMs = random.between(MIN_MS, MAX_MS);
  if (cycle % 4 === 2) return { kind: deaths.livesOn[round % deaths.livesOn.length] ?? "server", afterMs };
  if (cycle % 4 === 3) return { kind: deaths.dies[round % deaths.dies.length] ?? "server", afterMs };
  const name = failpoints[(round * 2 + (cycle % 4)) % failpoints.length] ?? "";
  return { kind: "failpoint", name, pass: random.between(1, RARE.test(name) ? MAX_RARE_PASS : MAX_PASS) };
}
