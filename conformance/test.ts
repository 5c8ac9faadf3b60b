/**
 * `npm test`: the quick checks, then each suite as far as this machine has what it needs. What was left out is listed with
 * the one command that provides it; with CI=true it counts as failed. `--only NAME` runs one (or several).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Counts, countsLine, findCounts, findNotThereYet, PROVISION, skipIsFailure } from "./harness/report.ts";
import { launcher, projectRoot } from "./harness/server.ts";
import { run } from "./harness/tools.ts";

interface Suite {
  readonly name: string;
  readonly file: string;
  /** A loop runs for the seconds it is given; the others take what they take. */
  readonly loop?: boolean;
}

const SUITES: readonly Suite[] = [
  { name: "quick", file: "conformance/quick.ts" },
  { name: "oci", file: "conformance/oci/main.ts" },
  { name: "matrix", file: "conformance/matrix/main.ts" },
  { name: "clients", file: "conformance/clients/main.ts" },
  { name: "notary", file: "conformance/notary/main.ts" },
  { name: "swarm", file: "conformance/swarm/main.ts" },
  { name: "attack:swarm", file: "conformance/swarm/attack/main.ts" },
  { name: "story", file: "conformance/story/main.ts" },
  { name: "replicas", file: "conformance/replicas/main.ts" },
  { name: "s3", file: "conformance/s3/main.ts" },
  { name: "fsck", file: "conformance/fsck/main.ts" },
  { name: "promotion", file: "conformance/promotion/main.ts" },
  { name: "crash", file: "conformance/crash/main.ts", loop: true },
  { name: "fuzz", file: "conformance/fuzz/main.ts", loop: true },
  { name: "gc:explore", file: "conformance/gc/main.ts", loop: true },
];
/** A suite that takes this many times its budget hangs; less may only mean a slow machine. */
const PATIENCE = 4;

interface Outcome extends Counts {
  /** Of the skipped: what is not built yet, so that nothing can provide it. */
  readonly notThereYet: number;
  readonly name: string;
  readonly seconds: number;
  readonly budget: number;
  readonly skippedLines: readonly string[];
}

const { values } = parseArgs({ options: { only: { type: "string", multiple: true, default: [] } } });
process.exitCode = await main();

async function main(): Promise<number> {
  const budgets: Record<string, number> = JSON.parse(
    readFileSync(join(projectRoot, "conformance", "budget.json"), "utf8"),
  );
  const outcomes: Outcome[] = [];
  for (const suite of SUITES) {
    if (values.only.length && !values.only.includes(suite.name)) continue;
    outcomes.push(await runSuite(suite, budgets[suite.name] ?? 0));
  }
  return summarize(outcomes);
}

async function runSuite({ name, file, loop }: Suite, budget: number): Promise<Outcome> {
  console.log(`\n=== ${name} (${budget} s budgeted)`);
  const args = [launcher, "run", file, ...(loop ? ["--seconds", String(budget)] : [])];
  const started = performance.now();
  const timeoutSeconds = budget * PATIENCE;
  let [status, output] = [1, ""];
  try {
    const onOutput = (text: string) => void process.stdout.write(text);
    const result = await run(process.execPath, args, { cwd: projectRoot, timeoutSeconds, onOutput });
    [status, output] = [result.status, result.stdout];
  } catch (error) {
    console.log(`${name}: ${error instanceof Error ? error.message.split("\n")[0] : error}`);
  }
  const seconds = (performance.now() - started) / 1000;
  const skippedLines = [...output.matchAll(/^skipped (.+)$/gm)].map(([, line]) => `${name}: ${line}`);
  const notThereYet = findNotThereYet(output);
  return { name, seconds, budget, skippedLines, notThereYet, ...toCounts(status, findCounts(output), notThereYet) };
}

/** The exit status has the last word: a suite that ended badly failed, whatever it had counted until then. */
function toCounts(status: number, counts: Counts | undefined, notThereYet: number): Counts {
  const { passed, failed, skipped } = counts ?? { passed: status === 0 ? 1 : 0, failed: 0, skipped: 0 };
  const skipIsWhy = skipped > notThereYet && skipIsFailure();
  return { passed, failed: status !== 0 && !skipIsWhy ? Math.max(failed, 1) : failed, skipped };
}

function summarize(outcomes: readonly Outcome[]): number {
  const sum = (key: "passed" | "failed" | "skipped" | "notThereYet" | "seconds") =>
    outcomes.reduce((total, outcome) => total + outcome[key], 0);
  const row = (cells: readonly (string | number)[]) =>
    console.log(cells.map((cell, i) => (i ? String(cell).padStart(9) : String(cell).padEnd(10))).join(""));
  console.log("");
  row(["suite", "passed", "failed", "skipped", "seconds", "budget"]);
  for (const { name, passed, failed, skipped, seconds, budget } of outcomes) {
    row([name, passed, failed, skipped, seconds.toFixed(0), budget]);
  }
  const skippedLines = outcomes.flatMap((outcome) => outcome.skippedLines);
  if (skippedLines.length) console.log(`\nskipped (${PROVISION} provides it):\n  ${skippedLines.join("\n  ")}`);
  for (const { name, notThereYet } of outcomes.filter((outcome) => outcome.notThereYet > 0))
    console.log(`\n${name}: ${notThereYet} of the skipped are of what is not built yet`);
  const total = { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
  console.log(`\n${sum("seconds").toFixed(0)} s in all\n${countsLine(total)}`);
  const leftOut = total.skipped - sum("notThereYet");
  if (leftOut && skipIsFailure()) console.error("CI=true: what is skipped counts as failed");
  return total.failed || (leftOut && skipIsFailure()) ? 1 : 0;
}
