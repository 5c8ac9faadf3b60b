/** `npm run quick`: types, lint and format, unit tests. Ends with the counts line like every suite. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { Report } from "./harness/report.ts";
import { projectRoot } from "./harness/server.ts";
import { run } from "./harness/tools.ts";

/** Only what hangs takes so long: beside another suite, on a slow machine, it may take half an hour. */
const VITEST_SECONDS = 2_000;

/** A program of node_modules, run by this very Node. */
async function runBin(name: string, args: readonly string[], timeoutSeconds: number): Promise<void> {
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`;
  const bin = join(projectRoot, "node_modules", ".bin", name);
  const { status, stdout, stderr } = await run(bin, args, { cwd: projectRoot, env: { PATH: path }, timeoutSeconds });
  if (status !== 0) throw new Error(`${name} ${args[0]} exited ${status}\n${stdout}${stderr}`);
}

/** Vitest's JSON report, as far as it is read here. */
interface VitestResult {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
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
    if (problem) console.log(problem);
    addResults(report, result, `${((performance.now() - started) / 1000).toFixed(1)} s`);
    if (problem && report.counts.failed === 0) report.fail("vitest", "see above");
  } catch {
    report.fail("vitest", problem || "it wrote no report");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function addResults(report: Report, { testResults }: VitestResult, took: string): void {
  const tests = testResults.flatMap((file) => file.assertionResults);
  const named = (wanted: (status: string) => boolean) => tests.filter(({ status }) => wanted(status));
  const passed = named((status) => status === "passed");
  for (const { fullName } of named((status) => status === "failed")) report.fail(`vitest: ${fullName}`, "see above");
  // Not "passed" nor "failed": skip, todo, pending.
  for (const { fullName, status } of named((status) => !/^(passed|failed)$/.test(status)))
    report.skip(fullName, status);
  // A file that cannot be loaded has no tests to fail.
  for (const file of testResults.filter((one) => one.status === "failed" && one.assertionResults.length === 0)) {
    report.fail(`vitest: ${file.name}`, "see above");
  }
  report.passAll(`vitest: ${passed.length} tests in ${testResults.length} files (${took})`, passed.length);
}

const report = new Report();
await report.check("tsc --noEmit", () => runBin("tsc", ["--noEmit"], 300));
await report.check("biome check", () => runBin("biome", ["check", "--error-on-warnings", "."], 120));
await runVitest(report);
process.exitCode = report.finish();
