/** Runs a suite on a copy of the tree with one promise broken; the tree itself is never touched. */
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectRoot } from "./server.ts";
import { run } from "./tools.ts";

/** Changes that break a promise: with each of them the suite must go red, or it proves nothing. */
export interface Edit {
  readonly file: string;
  /** Exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
  /** Failpoints that its cycles take turns with; default: all. It would go red at those without them, only later. */
  readonly at?: readonly string[];
}

export interface MutatedSuite {
  readonly mutants: readonly Mutant[];
  /** What runs the suite, from the root of the tree. */
  readonly script: string;
  argsFor(mutant: Mutant): readonly string[];
  /** What the suite said against the mutant; undefined when it failed for another reason, which proves nothing. */
  findWords(output: string): string | undefined;
}

const COPIED = ["bin", "src", "conformance", "package.json", "package-lock.json"];
const PATIENCE_SECONDS = 900;

/** Answers the exit status: 0 when every mutant named (`all`: each there is) made the suite fail. */
export async function runMutants(suite: MutatedSuite, names: string): Promise<number> {
  const chosen = suite.mutants.filter(({ name }) => names === "all" || names.split(",").includes(name));
  if (chosen.length === 0) {
    console.log(`no mutant ${names}; there are: all, ${suite.mutants.map((mutant) => mutant.name).join(", ")}`);
    return 2;
  }
  let survivors = 0;
  for (const mutant of chosen) {
    const why = await runMutant(suite, mutant);
    if (why === undefined) survivors++;
    console.log(why === undefined ? `SURVIVED ${mutant.name}` : `killed   ${mutant.name}: ${why}`);
  }
  console.log(`${chosen.length - survivors} of ${chosen.length} mutants killed`);
  return survivors > 0 ? 1 : 0;
}

/** Mutants whose place in the source is no longer there: until they are mended they prove nothing. */
export function findStale(mutants: readonly Mutant[]): string[] {
  const isGone = ({ file, find }: Edit): boolean =>
    readFileSync(join(projectRoot, file), "utf8").split(find).length !== 2;
  return mutants.filter(({ edits }) => edits.some(isGone)).map(({ name }) => name);
}

/** What the suite said against it; undefined when it found nothing wrong. */
async function runMutant(suite: MutatedSuite, mutant: Mutant): Promise<string | undefined> {
  // Short: a socket's path in it may have 107 bytes.
  const folder = mkdtempSync(join(tmpdir(), "goldseal-mutant-"));
  // The suite's PostgreSQL runs as nobody when we are root, and must pass.
  chmodSync(folder, 0o711);
  try {
    for (const path of COPIED) cpSync(join(projectRoot, path), join(folder, path), { recursive: true });
    symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
    for (const { file, find, replace } of mutant.edits) edit(join(folder, file), find, replace);
    const script = [join(folder, "bin", "goldseal.mjs"), "run", join(folder, suite.script)];
    const { status, stdout, stderr } = await run(process.execPath, [...script, ...suite.argsFor(mutant)], {
      cwd: folder,
      // Where it keeps the data of its failure, which is of no use here.
      env: { TMPDIR: folder },
      timeoutSeconds: PATIENCE_SECONDS,
    });
    if (status === 0) return undefined;
    const words = suite.findWords(stdout);
    if (words === undefined) console.log(`mutant ${mutant.name} failed, but not by a check:\n${stdout}${stderr}`);
    return words;
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
