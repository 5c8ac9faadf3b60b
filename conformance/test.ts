/**
 * `npm test`: the quick checks and each suite, as far as this machine has what it needs: first two lanes side by side, then one
 * after the other. What was left out is listed with the one command that provides it; with CI=true it counts as failed.
 * `--only NAME` runs one (or several).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type Counts,
  countsLine,
  findCounts,
  findLeftOut,
  findNotThereYet,
  PROVISION,
  skipIsFailure,
} from "./harness/report.ts";
import { launcher, projectRoot } from "./harness/server.ts";
import { type RunResult, run } from "./harness/tools.ts";

interface Suite {
  readonly name: string;
  readonly file: string;
  /** A loop runs for the seconds it is given; the others take what they take. */
  readonly loop?: boolean;
  readonly args?: readonly string[];
}

/** They wait more than they compute, are promised seconds, and look whether anything of their engines is left on this machine. */
const SWARM: readonly Suite[] = [
  // Its image of 250 MB takes a minute and a half to be built and pulled by three engines.
  { name: "swarm", file: "conformance/swarm/main.ts", args: ["--without", "shipping"] },
  { name: "attack:swarm", file: "conformance/swarm/attack/main.ts" },
  { name: "chaos:swarm", file: "conformance/swarm/chaos.ts" },
];
/** What is promised nothing. It takes what the other lane leaves of the processors: little first, while that has the Swarm. */
const PATIENT: readonly Suite[] = [
  { name: "s3", file: "conformance/s3/main.ts" },
  { name: "fsck", file: "conformance/fsck/main.ts" },
  { name: "oci", file: "conformance/oci/main.ts" },
  { name: "matrix", file: "conformance/matrix/main.ts" },
  { name: "quick", file: "conformance/quick.ts" },
];
/** Engines of docker and others, which nobody must mistake for what the Swarm left: in both lanes, after it. */
const CLIENTS: readonly Suite[] = [
  { name: "notary", file: "conformance/notary/main.ts" },
  { name: "story", file: "conformance/story/main.ts" },
  { name: "clients", file: "conformance/clients/main.ts" },
];
/** What measures time, and what loads the machine for the time it is given. */
const ALONE: readonly Suite[] = [
  { name: "replicas", file: "conformance/replicas/main.ts" },
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
  /** On purpose: each with the command that runs it. */
  readonly leftOut: readonly string[];
}

interface Way {
  /** Its output comes in one piece, at its end: another suite's would be in between. */
  readonly isBeside?: boolean;
  readonly isPatient?: boolean;
}

const { values } = parseArgs({ options: { only: { type: "string", multiple: true, default: [] } } });
const budgets: Record<string, number> = JSON.parse(
  readFileSync(join(projectRoot, "conformance", "budget.json"), "utf8"),
);
process.exitCode = await main();

async function main(): Promise<number> {
  const started = performance.now();
  const outcomes = [...(await runLanes()), ...(await runSuites(ALONE, {}))];
  return summarize(outcomes, (performance.now() - started) / 1000);
}

async function runLanes(): Promise<Outcome[]> {
  const isBeside = true;
  const left = [...CLIENTS];
  const swarm = runSuites(SWARM, { isBeside });
  const patient = runSuites(PATIENT, { isBeside, isPatient: true });
  const takeTurns = async (outcomes: Outcome[]): Promise<Outcome[]> => {
    await swarm;
    for (let next = left.shift(); next !== undefined; next = left.shift())
      outcomes.push(...(await runSuites([next], { isBeside })));
    return outcomes;
  };
  return (await Promise.all([swarm.then(takeTurns), patient.then(takeTurns)])).flat();
}

async function runSuites(suites: readonly Suite[], way: Way): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const suite of suites)
    if (!values.only.length || values.only.includes(suite.name)) outcomes.push(await runSuite(suite, way));
  return outcomes;
}

async function runSuite(
  { name, file, loop, args: given = [] }: Suite,
  { isBeside = false, isPatient = false }: Way,
): Promise<Outcome> {
  const budget = budgets[name] ?? 0;
  const title = `=== ${name} (${budget} s budgeted)`;
  console.log(isBeside ? `\n${name} begins` : `\n${title}`);
  const own = [launcher, "run", file, ...given, ...(loop ? ["--seconds", String(budget)] : [])];
  const [program, args] = isPatient ? ["nice", ["-n", "10", process.execPath, ...own]] : [process.execPath, own];
  const started = performance.now();
  const timeoutSeconds = budget * PATIENCE;
  const onOutput = (text: string): void => void (isBeside || process.stdout.write(text));
  const result = await run(program, args, { cwd: projectRoot, timeoutSeconds, onOutput }).catch((error: unknown) => {
    // With all that it printed.
    const text = `${name}: ${error instanceof Error ? error.message : error}\n`;
    return { status: 1, stdout: isBeside ? text : `${text.split("\n")[0]}\n`, stderr: "" };
  });
  const seconds = (performance.now() - started) / 1000;
  if (isBeside) process.stdout.write(`\n${title}\n${result.stdout}${result.stderr}`);
  return { name, seconds, budget, ...toOutcome(result) };
}

function toOutcome({ status, stdout }: Pick<RunResult, "status" | "stdout">) {
  const skippedLines = [...stdout.matchAll(/^skipped (.+)$/gm)].map(([, line]) => `${line}`);
  const notThereYet = findNotThereYet(stdout);
  return {
    skippedLines,
    leftOut: findLeftOut(stdout),
    notThereYet,
    ...toCounts(status, findCounts(stdout), notThereYet),
  };
}

/** The exit status has the last word: a suite that ended badly failed, whatever it had counted until then. */
function toCounts(status: number, counts: Counts | undefined, notThereYet: number): Counts {
  const { passed, failed, skipped } = counts ?? { passed: status === 0 ? 1 : 0, failed: 0, skipped: 0 };
  const skipIsWhy = skipped > notThereYet && skipIsFailure();
  return { passed, failed: status !== 0 && !skipIsWhy ? Math.max(failed, 1) : failed, skipped };
}

function summarize(outcomes: readonly Outcome[], allSeconds: number): number {
  const sum = (key: "passed" | "failed" | "skipped" | "notThereYet") =>
    outcomes.reduce((total, outcome) => total + outcome[key], 0);
  const row = (cells: readonly (string | number)[]) =>
    console.log(cells.map((cell, i) => (i ? String(cell).padStart(9) : String(cell).padEnd(10))).join(""));
  console.log("");
  row(["suite", "passed", "failed", "skipped", "seconds", "budget"]);
  for (const { name, passed, failed, skipped, seconds, budget } of outcomes) {
    row([name, passed, failed, skipped, seconds.toFixed(0), budget]);
  }
  const skippedLines = outcomes.flatMap((outcome) => outcome.skippedLines.map((line) => `${outcome.name}: ${line}`));
  if (skippedLines.length) console.log(`\nskipped (${PROVISION} provides it):\n  ${skippedLines.join("\n  ")}`);
  for (const { name, leftOut } of outcomes) for (const line of leftOut) console.log(`\nleft out of ${name}: ${line}`);
  for (const { name, notThereYet } of outcomes.filter((outcome) => outcome.notThereYet > 0))
    console.log(`\n${name}: ${notThereYet} of the skipped are of what is not built yet`);
  const total = { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
  console.log(`\n${allSeconds.toFixed(0)} s in all\n${countsLine(total)}`);
  const leftOut = total.skipped - sum("notThereYet");
  if (leftOut && skipIsFailure()) console.error("CI=true: what is skipped counts as failed");
  return total.failed || (leftOut && skipIsFailure()) ? 1 : 0;
}
