import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../harness/server.ts";

const COPIED = ["bin", "src", "package.json", "package-lock.json"];
const LOOKUP = "src/orgs/access-lookup.ts";
const READ = "  return async (key) => (await lookup.find(key)) ?? NOTHING;\n";

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
  const remembered = `  const remembered = new Map<string, AccessFacts>();
  return async (key) => {
    const name = \`\${key.user} \${key.credential} \${key.repository} \${key.namespace}\`;
    const facts = remembered.get(name) ?? (await lookup.find(key)) ?? NOTHING;
    remembered.set(name, facts);
    return facts;
  };
`;
  writeFileSync(file, text.replace(READ, remembered));
  return folder;
}
