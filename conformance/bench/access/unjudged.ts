import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../harness/server.ts";
import { processesOf } from "../processes.ts";
import type { Server } from "../servers.ts";

const COPIED = ["bin", "src", "package.json", "package-lock.json"];

interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** All of `authorize` can be left out: facts are not looked up then, nor is their version read, nor is anything decided. */
const CHANGES: readonly Change[] = [
  {
    file: "src/main.ts",
    from: `import cluster from "node:cluster";`,
    to: `import cluster from "node:cluster";
process.on("SIGUSR2", () => { globalThis.unjudged = true; });
process.on("SIGWINCH", () => { globalThis.unjudged = false; });`,
  },
  {
    file: "src/orgs/authenticator.ts",
    from: `    const lasting = about.namespace === undefined ?`,
    to: `    if (globalThis.unjudged) return { actor: claims.actor, facts: {} as AccessFacts, by: "token", catalog: claims.catalog };
    const lasting = about.namespace === undefined ?`,
  },
  {
    file: "src/orgs/gate.ts",
    from: `name !== undefined) admit(`,
    to: `name !== undefined && !(globalThis.unjudged && identity.by === "token")) admit(`,
  },
  {
    file: "src/storage/manifest-lookup.ts",
    from: `    name: "manifest-rows",
    text: FIND_ROWS,`,
    to: `    name: globalThis.unjudged ? "manifest-rows-unjudged" : "manifest-rows",
    text: globalThis.unjudged ? FIND_ROWS_UNJUDGED : FIND_ROWS,`,
  },
  {
    file: "src/storage/manifest-lookup.ts",
    from: `/** One statement, whatever`,
    to: `const FIND_ROWS_UNJUDGED = FIND_ROWS.replace(RIGHTS, "null");

/** One statement, whatever`,
  },
];

/**
 * A copy of the product that can be told to let everyone do everything who has a token of its own: beside itself it shows
 * what judging costs. Reading the token is in both. One process does the one and the other, because two of the same program
 * differ by more than judging costs: in how the compiler took them, and where their memory lies.
 */
export function copyUnjudged(folder: string): string {
  for (const path of COPIED) cpSync(join(projectRoot, path), join(folder, path), { recursive: true });
  symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
  for (const { file, from, to } of CHANGES) {
    const text = readFileSync(join(folder, file), "utf8");
    if (text.split(from).length !== 2) throw new Error(`${file} no longer holds:\n${from}`);
    writeFileSync(
      join(folder, file),
      text.replace(from, () => to),
    );
  }
  return folder;
}

/** Tells each worker of a copy whether to judge from now on. */
export function openSwitch(server: Server): (judges: boolean) => void {
  const workers = processesOf(server.pid, server.kind).filter(({ role }) => role === "worker");
  return (judges) => {
    for (const { pid } of workers) process.kill(pid, judges ? "SIGWINCH" : "SIGUSR2");
  };
}
