/** `npm run quick`: types, lint and format, unit tests. Ends with the counts line like every suite. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { Report } from "./harness/report.ts";
import { projectRoot } from "./harness/server.ts";
import { run } from "./harness/tools.ts";

const VITEST_SECONDS = 600;

/** A program of node_modules, run by this very Node. */
async function runBin(name: string, args: readonly string[], timeoutSeconds: number): Promise<void> {
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
  const bin = join(projectRoot, "node_modules", ".bin", name);
  const { status, stdout, stderr } = await run(bin, args, { cwd: projectRoot, env: { PATH: path }, timeoutSeconds });
  if (status !== 0) throw new Error(`${name} ${args[0]} exited ${status}\n${stdout}${stderr}`);
}

interface VitestResult {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
}

async function runVitest(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-quick-"));
  const file = join(folder, "vitest.json");
  const started = performance.now();
  let problem = "";
  try {
    await runBin("vitest", ["run", "--reporter=default", "--reporter=json", `--outputFile=${file}`], VITEST_SECONDS);
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error);
  }
  try {
    const result: VitestResult = JSON.parse(readFileSync(file, "utf8"));
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    report.passAll(`vitest: ${result.numPassedTests} tests (${seconds} s)`, result.numPassedTests);
    for (let i = 0; i < result.numFailedTests; i++) report.fail(`vitest: failed test ${i + 1}`, i === 0 ? problem : "");
    const left = result.numPendingTests + result.numTodoTests;
    for (let i = 0; i < left; i++) report.skip("vitest: a test", "marked skip or todo");
    if (problem && result.numFailedTests === 0) report.fail("vitest", problem);
  } catch {
    report.fail("vitest", problem || "it wrote no report");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const report = new Report();
await report.check("tsc --noEmit", () => runBin("tsc", ["--noEmit"], 300));
await report.check("biome check", () => runBin("biome", ["check", "--error-on-warnings", "."], 120));
await runVitest(report);
process.exitCode = report.finish();
