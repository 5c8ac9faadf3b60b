/** Runs the suite on a copy of the tree with one promise broken; the tree itself is never touched. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "../harness/server.ts";
import { run } from "../harness/tools.ts";
import { type Edit, MUTANTS, type Mutant } from "./mutants.ts";

const COPIED = ["bin", "src", "conformance", "package.json", "package-lock.json"];
const PATIENCE_SECONDS = 300;

/** Answers the exit status: 0 when every mutant named (`all`: each there is) made the suite fail. */
export async function runMutants(names: string, args: readonly string[]): Promise<number> {
  const chosen = MUTANTS.filter(({ name }) => names === "all" || names.split(",").includes(name));
  if (chosen.length === 0) {
    console.log(`no mutant ${names}; there are: all, ${MUTANTS.map((mutant) => mutant.name).join(", ")}`);
    return 2;
  }
  let survivors = 0;
  for (const mutant of chosen) {
    const why = await runMutant(mutant, args);
    if (why === undefined) survivors++;
    console.log(why === undefined ? `SURVIVED ${mutant.name}` : `killed   ${mutant.name}: ${why}`);
  }
  console.log(`${chosen.length - survivors} of ${chosen.length} mutants killed`);
  return survivors > 0 ? 1 : 0;
}

/** Mutants whose place in the source is no longer there: until they are mended they prove nothing. */
export function findStale(): string[] {
  const isGone = ({ file, find }: Edit): boolean =>
    readFileSync(join(projectRoot, file), "utf8").split(find).length !== 2;
  return MUTANTS.filter(({ edits }) => edits.some(isGone)).map(({ name }) => name);
}

/** What the suite said against it; undefined when it found nothing wrong. */
async function runMutant({ name, edits, at }: Mutant, args: readonly string[]): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), `goldseal-mutant-${name}-`));
  try {
    for (const path of COPIED) cpSync(join(projectRoot, path), join(folder, path), { recursive: true });
    symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
    for (const { file, find, replace } of edits) edit(join(folder, file), find, replace);
    const script = [join(folder, "bin", "goldseal.mjs"), "run", "conformance/crash/main.ts"];
    const failpoints = ["--mutated", ...(at ? ["--failpoints", at.join()] : [])];
    const { status, stdout, stderr } = await run(process.execPath, [...script, ...args, ...failpoints], {
      cwd: folder,
      // Where it keeps the data of its failure, which is of no use here.
      env: { TMPDIR: folder },
      timeoutSeconds: PATIENCE_SECONDS,
    });
    if (status === 0) return undefined;
    const cycle = /^(\d+) [a-z]/gm;
    const cycles = [...stdout.matchAll(cycle)].length;
    const words =
      /^(?:LOSS|CORRUPTION|TORN|ANSWER|RECOVERY) .*(?:\n(?:LOSS|CORRUPTION|TORN|ANSWER|RECOVERY) .*)?/m.exec(stdout);
    if (words === null) {
      // It failed for a reason of its own: that proves nothing about the checks.
      console.log(`mutant ${name} failed, but not by a check:\n${stdout}${stderr}`);
      return undefined;
    }
    return `after ${cycles} cycles: ${words[0].replace("\n", " ").slice(0, 220)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function edit(path: string, find: string, replace: string): void {
  const [before, after, ...more] = readFileSync(path, "utf8").split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`${path} does not hold exactly once:\n${find}`);
  }
  writeFileSync(path, before + replace + after);
}
