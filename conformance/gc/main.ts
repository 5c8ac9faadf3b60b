/**
 * `npm run gc:explore -- [--schedules N --seconds N --seed S --s3 minio|versitygw]`: orders of steps of two pushers and the
 * collector, with crashes, on a real PostgreSQL and real files, or a real bucket whose deletions fail now and then; see src/testing/gc-explore, which steps the registry's own handlers from
 * failpoint to failpoint. `--mutant NAME|all` breaks a rule in a copy of the tree, and fails unless that is found.
 * `--live SECONDS [--s3 minio|versitygw]` runs a whole server instead, with pushers and real clients beside a collector
 * that never rests.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findStale, type MutatedSuite, runMutants } from "../harness/mutate.ts";
import { hasS3Server, isS3Kind, S3_KINDS } from "../harness/s3-servers.ts";
import { launcher, projectRoot } from "../harness/server.ts";
import { run } from "../harness/tools.ts";
import { runLive } from "./live.ts";
import { MUTANTS } from "./mutants.ts";

const EXPLORER = "src/testing/gc-explore/main.ts";

const { values } = parseArgs({
  options: {
    schedules: { type: "string" },
    seconds: { type: "string" },
    seed: { type: "string" },
    only: { type: "string" },
    mutant: { type: "string" },
    live: { type: "string" },
    s3: { type: "string" },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  if (values.mutant !== undefined) return runMutants(mutatedSuite(), values.mutant);
  if (values.s3 !== undefined && !(isS3Kind(values.s3) && hasS3Server(values.s3))) {
    console.error(`--s3 ${values.s3}: must be ${S3_KINDS.join(" or ")}, which conformance/provision provides`);
    return 2;
  }
  if (values.live !== undefined) return runLive(Number(values.live), values.s3);
  const stale = findStale(MUTANTS);
  if (stale.length > 0) console.log(`FAILED: mutants whose lines are no longer in the source: ${stale.join(", ")}`);
  return (await explore()) > 0 || stale.length > 0 ? 1 : 0;
}

async function explore(): Promise<number> {
  // To its count or its budget, whichever is first.
  const seconds = values.seconds ?? (values.schedules === undefined ? String(budgetSeconds()) : undefined);
  const given = { schedules: values.schedules, seed: values.seed, only: values.only, s3: values.s3, seconds };
  const args = Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
  const { status } = await run(process.execPath, [launcher, "run", EXPLORER, ...args], {
    cwd: projectRoot,
    timeoutSeconds: 7_200,
    onOutput: (text) => void process.stdout.write(text),
  });
  return status;
}

function mutatedSuite(): MutatedSuite {
  const schedules = values.schedules ?? "600";
  return {
    mutants: MUTANTS,
    script: EXPLORER,
    argsFor: ({ edits }) => [
      ...["--schedules", schedules, ...(values.seed === undefined ? [] : ["--seed", values.seed])],
      ...(edits.some(({ file }) => file.includes("/s3-")) ? ["--s3", values.s3 ?? "minio"] : []),
    ],
    findWords: (output) => {
      const violation = /^VIOLATION (.*)\nschedule /m.exec(output)?.[1];
      const done = /^(\d+) schedules/m.exec(output)?.[1];
      return violation === undefined ? undefined : `after ${done} schedules: ${violation.slice(0, 200)}`;
    },
  };
}

function budgetSeconds(): number {
  const budgets = JSON.parse(readFileSync(join(projectRoot, "conformance", "budget.json"), "utf8"));
  return (budgets as { "gc:explore": number })["gc:explore"];
}
