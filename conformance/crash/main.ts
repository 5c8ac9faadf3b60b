/**
 * `npm run crash [-- --cycles N --seconds N --seed S --writers N --failpoints A,B]`: kills the server and its PostgreSQL while writers push,
 * starts it again on the same data, and reads back what was acknowledged. One line of figures at the end; the first
 * loss, corruption or torn write ends the run and keeps data, journal and seed. `--mutant NAME|all` runs it on a copy of
 * the tree with a promise broken, and fails unless the run does.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findStale, type MutatedSuite, runMutants } from "../harness/mutate.ts";
import { projectRoot } from "../harness/server.ts";
import { Loop } from "./loop.ts";
import { MUTANTS } from "./mutants.ts";
import { Violation } from "./violation.ts";

const DEFAULT_CYCLES = 1_000_000;

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: String(DEFAULT_CYCLES) },
    seconds: { type: "string", default: String(budgetSeconds()) },
    seed: { type: "string", default: randomBytes(4).toString("hex") },
    writers: { type: "string", default: "8" },
    failpoints: { type: "string" },
    mutant: { type: "string" },
    // How a mutant's copy is run.
    mutated: { type: "boolean", default: false },
  },
});
process.exitCode = await (values.mutant === undefined ? main() : runMutants(mutatedSuite(), values.mutant));

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-crash-"));
  // PostgreSQL runs as nobody when we are root, and must pass.
  chmodSync(folder, 0o711);
  mkdirSync(join(folder, "data"));
  console.log(`crash: seed ${values.seed}, data and journal in ${folder}`);
  const failpoints = values.failpoints?.split(",");
  const options = { seed: values.seed, writers: Number(values.writers), ...(failpoints && { failpoints }) };
  const loop = await Loop.open(folder, options);
  try {
    console.log(await loop.checkSyncs(folder));
    await loop.run({ cycles: Number(values.cycles), seconds: Number(values.seconds) });
  } catch (error) {
    await loop.abandon();
    if (!(error instanceof Violation)) throw error;
    console.log(`\n${error.message}\n`);
    console.log(loop.summary(`FAILED (${error.kind}), repeat with --seed ${values.seed}; kept in ${folder}`));
    return 1;
  }
  rmSync(folder, { recursive: true, force: true });
  const unhit = loop.unhit();
  if (unhit.length > 0) console.log(`FAILED: a full run that did not reach ${unhit.join(", ")}`);
  const stale = values.mutated ? [] : findStale(MUTANTS);
  if (stale.length > 0) console.log(`FAILED: mutants whose lines are no longer in the source: ${stale.join(", ")}`);
  console.log(loop.summary("0 lost"));
  return unhit.length + stale.length > 0 ? 1 : 0;
}

function mutatedSuite(): MutatedSuite {
  // Mutants are to be found soon.
  const cycles = Number(values.cycles) < DEFAULT_CYCLES ? values.cycles : "20";
  const args = ["--cycles", cycles, "--seconds", values.seconds, "--seed", values.seed, "--writers", values.writers];
  return {
    mutants: MUTANTS,
    script: "conformance/crash/main.ts",
    argsFor: ({ at }) => [...args, "--mutated", ...(at === undefined ? [] : ["--failpoints", at.join()])],
    findWords: (output) => {
      const words =
        /^(?:LOSS|CORRUPTION|TORN|ANSWER|RECOVERY) .*(?:\n(?:LOSS|CORRUPTION|TORN|ANSWER|RECOVERY) .*)?/m.exec(output);
      const cycles = [...output.matchAll(/^(\d+) [a-z]/gm)].length;
      return words === null ? undefined : `after ${cycles} cycles: ${words[0].replace("\n", " ").slice(0, 220)}`;
    },
  };
}

function budgetSeconds(): number {
  const budgets = JSON.parse(readFileSync(join(projectRoot, "conformance", "budget.json"), "utf8"));
  return (budgets as { crash: number }).crash;
}
