import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../harness/server.ts";

const COPIED = ["bin", "src", "package.json", "package-lock.json"];

interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** All of `authorize`: neither are facts looked up, nor is their version read, nor is anything decided. */
const CHANGES: readonly Change[] = [
  {
    file: "src/orgs/authenticator.ts",
    from: `    const facts = await this.#deps.findAccess({ ...principalKey(claims.actor), ...about }, about.looked);
    if (!stands(claims.actor, facts)) return undefined;
    return { actor: claims.actor, facts, by`,
    to: "    return { actor: claims.actor, facts: {} as AccessFacts, by",
  },
  {
    file: "src/orgs/gate.ts",
    from: `      request.admission = judge(`,
    to: `      if (identity.by !== "token") request.admission = judge(`,
  },
  {
    file: "src/storage/rights-row.ts",
    from: "(select version from rights_version) as rights",
    to: "null",
  },
];

/**
 * A copy of the product that lets everyone do everything who has a token of its own. Beside the product itself it shows
 * what judging costs: reading the token is in both.
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
