/**
 * Whether the tests of `src/trust`, and of what it asks a trusted collection, notice when a check is inverted or taken out:
 * `node bin/goldseal.mjs run conformance/trust/mutate.ts [--files verdict.ts,dsse.ts]`. At least 95 % of all mutants must be
 * killed, and each survivor must be explained.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { projectRoot } from "../harness/server.ts";
import { run } from "../harness/tools.ts";
import { EXPLAINED } from "./explained.ts";
import { type Mutation, mutationsOf } from "./mutations.ts";

const ROOM = "src/trust";
const TARGETS = "src/notary/tuf/trusted-targets.ts";
const PERCENT = 95;
const PATIENCE_SECONDS = 60;

/** Without the database of the other rooms; quick files first, and the first failure ends it. */
const CONFIG = `export default { test: { include: ["src/trust/**/*.test.ts", "src/notary/tuf/trusted-targets.test.ts"],
  bail: 1, isolate: false, fileParallelism: false, pool: "threads", reporters: ["dot"] } };`;

const { values } = parseArgs({ options: { files: { type: "string" } } });
const wanted = values.files?.split(",");
const files = [...readdirSync(join(projectRoot, ROOM)).map((name) => `${ROOM}/${name}`), TARGETS]
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .filter((file) => wanted === undefined || wanted.includes(basename(file)));

const folder = mkdtempSync(join(tmpdir(), "goldseal-mutants-"));
try {
  cpSync(join(projectRoot, "src"), join(folder, "src"), { recursive: true });
  cpSync(join(projectRoot, "package.json"), join(folder, "package.json"));
  symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "vitest.config.ts"), CONFIG);
  process.exitCode = await main();
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

async function main(): Promise<number> {
  if (!(await isGreen())) throw new Error("the tests fail before anything is changed");
  const counts = { killed: 0, explained: 0, unexplained: 0 };
  for (const file of files) {
    for (const mutation of mutationsOf(readFileSync(join(projectRoot, file), "utf8"))) {
      counts[await judge(file, mutation)]++;
    }
  }
  const total = counts.killed + counts.explained + counts.unexplained;
  const percent = (100 * counts.killed) / total;
  const survived = `${counts.explained} survivors explained, ${counts.unexplained} not`;
  console.log(`${total} mutants, ${counts.killed} killed (${percent.toFixed(1)} %), ${survived}`);
  return percent >= PERCENT && counts.unexplained === 0 ? 0 : 1;
}

async function judge(file: string, { line, what, text }: Mutation): Promise<"killed" | "explained" | "unexplained"> {
  const original = readFileSync(join(projectRoot, file), "utf8");
  writeFileSync(join(folder, file), text);
  const survived = await isGreen();
  writeFileSync(join(folder, file), original);
  if (!survived) return "killed";
  const old = (original.split("\n")[line - 1] ?? "").trim();
  const known = EXPLAINED.find((one) => file.endsWith(one.file) && one.line === old && one.what === what);
  console.log(`${known ? "explained" : "SURVIVED "} ${file}:${line} ${what}: ${old}${known ? ` (${known.why})` : ""}`);
  return known ? "explained" : "unexplained";
}

/** A mutant that never ends is noticed too. */
async function isGreen(): Promise<boolean> {
  const vitest = join(folder, "node_modules", "vitest", "vitest.mjs");
  const answer = run(process.execPath, [vitest, "run"], { cwd: folder, timeoutSeconds: PATIENCE_SECONDS });
  return (await answer.catch(() => ({ status: 1 }))).status === 0;
}
