import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../harness/server.ts";

const COPIED = ["bin", "src", "package.json", "package-lock.json"];
const LOOKUP = "src/orgs/access-lookup.ts";
const READ = `      const rights = await versions.find("rights");
      if (rights?.version === known.version && rights.now < known.goodUntil) return known.facts;
`;

/**
 * A copy of the product that looks nothing up to judge by: it answers everyone by what it found the first time. Beside
 * the product itself it shows what judging costs.
 */
export function copyUnjudged(folder: string): string {
  for (const path of COPIED) cpSync(join(projectRoot, path), join(folder, path), { recursive: true });
  symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
  const file = join(folder, LOOKUP);
  const text = readFileSync(file, "utf8");
  if (text.split(READ).length !== 2) throw new Error(`${LOOKUP} no longer holds:\n${READ}`);
  writeFileSync(file, text.replace(READ, "      return known.facts;\n"));
  return folder;
}
