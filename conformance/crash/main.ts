/**
 * `npm run crash [-- --cycles N --seconds N --seed S --writers N --failpoints A,B]`: kills servers, their PostgreSQL and their
 * bucket while writers push and garbage is collected, starts them again, and reads back what was acknowledged; on a folder
 * and a bucket, with one server and with two. And power cuts on a folder. Without more it does some of each;
 * `--blobs fs|s3`, `--replicas 2` and `--collector` choose one kind of kills, `--power-cuts N` power cuts (`--after
 * tag.move,user.add`: after these alone); N is of each kind. One line of figures at the end; the first loss, corruption or
 * torn write ends the run and keeps data, journal and seed.
 * `--mutants` (or `--mutant NAME`) runs it on copies of the tree, each with a promise broken: every one must be found.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { findStale, type MutatedSuite, runMutants } from "../harness/mutate.ts";
import { projectRoot } from "../harness/server.ts";
import { Journal } from "./journal.ts";
import { MUTANTS } from "./mutants.ts";
import { type Bounds, makeParts, type Part, type PartOptions } from "./parts.ts";
import { Violation } from "./violation.ts";

const UNBOUNDED = 1_000_000;
/** For one mutant. */
const MUTANT_SECONDS = 600;

const { values } = parseArgs({
  options: {
    cycles: { type: "string", default: String(UNBOUNDED) },
    seconds: { type: "string" },
    seed: { type: "string", default: randomBytes(4).toString("hex") },
    writers: { type: "string", default: "8" },
    failpoints: { type: "string" },
    blobs: { type: "string" },
    replicas: { type: "string" },
    collector: { type: "boolean", default: false },
    "power-cuts": { type: "string" },
    after: { type: "string" },
    mutants: { type: "boolean", default: false },
    mutant: { type: "string" },
    // How a mutant's copy is run.
    mutated: { type: "boolean", default: false },
  },
});
process.exitCode = await (values.mutants || values.mutant !== undefined
  ? runMutants(mutatedSuite(), values.mutant ?? "all")
  : main());

async function main(): Promise<number> {
  const folder = openFolder();
  console.log(`crash: seed ${values.seed}, data and journal in ${folder}`);
  const parts = makeParts(toOptions());
  const journal = await Journal.open(join(folder, "journal.jsonl"));
  const summaries: string[] = [];
  let status = 0;
  for (const part of parts) {
    console.log(`\n${part.name}`);
    const { summary, violation } = await runPart(part, folder, journal);
    summaries.push(summary);
    if (violation === undefined) continue;
    console.log(`\n${violation.message}\n`);
    summaries.push(
      `FAILED (${violation.kind}), repeat with --seed ${values.seed}; kept in ${folder}`,
      violation.message.split("\n").slice(0, 5).join("\n"),
    );
    status = 1;
    break;
  }
  await journal.close();
  if (status === 0) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  const unhit = parts.flatMap((part) => part.unhit());
  if (unhit.length > 0) console.log(`FAILED: a full run that did not reach ${unhit.join(", ")}`);
  const stale = values.mutated ? [] : findStale(MUTANTS);
  if (stale.length > 0) console.log(`FAILED: mutants whose lines are no longer in the source: ${stale.join(", ")}`);
  if (status === 0) summaries.push(`crash: seed ${values.seed}: 0 lost`);
  console.log(`\n${summaries.join("\n")}`);
  return status + unhit.length + stale.length > 0 ? 1 : 0;
}

async function runPart(part: Part, folder: string, journal: Journal) {
  const bounds: Bounds = {
    cycles: Number(values.cycles),
    cuts: Number(values["power-cuts"] ?? values.cycles),
    seconds: seconds() * part.share,
  };
  try {
    await part.run(folder, journal, bounds);
    return { summary: part.summary(), violation: undefined };
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    return { summary: part.summary(), violation: error };
  }
}

function toOptions(): PartOptions {
  const { seed, failpoints, blobs, replicas, collector, after } = values;
  if (blobs !== undefined && blobs !== "fs" && blobs !== "s3") throw new Error(`--blobs ${blobs}: must be fs or s3`);
  const chosen = blobs !== undefined || replicas !== undefined || collector;
  return {
    seed,
    writers: Number(values.writers),
    ...(failpoints !== undefined && { failpoints: failpoints.split(",") }),
    ...(after !== undefined && { after: after.split(",") }),
    ...(values["power-cuts"] !== undefined && { only: "power-cuts" as const }),
    ...(chosen && { only: { blobs: blobs ?? "fs", replicas: Number(replicas ?? 1), collector } }),
  };
}

/**
 * In memory where there is enough, unless TMPDIR says where: what a disk keeps is decided by the model, or by the kernel,
 * which does not die here.
 */
function openFolder(): string {
  const memory = "/dev/shm";
  const free = existsSync(memory) && process.env.TMPDIR === undefined ? statfsSync(memory) : { bavail: 0, bsize: 0 };
  const parent = free.bavail * free.bsize > 4 * 1024 ** 3 ? memory : tmpdir();
  const folder = mkdtempSync(join(parent, "goldseal-crash-"));
  // PostgreSQL runs as nobody when we are root, and must pass.
  chmodSync(folder, 0o711);
  return folder;
}

function mutatedSuite(): MutatedSuite {
  return {
    mutants: MUTANTS,
    script: "conformance/crash/main.ts",
    argsFor: ({ name, at }) => {
      const own = MUTANTS.find((mutant) => mutant.name === name)?.args ?? ["--blobs", "fs"];
      const bounds = own.includes("--power-cuts") ? [] : ["--cycles", "80"];
      const common = [
        "--seed",
        values.seed,
        "--writers",
        values.writers,
        "--seconds",
        values.seconds ?? String(MUTANT_SECONDS),
      ];
      return [...own, ...bounds, ...common, "--mutated", ...(at === undefined ? [] : ["--failpoints", at.join()])];
    },
    findWords: (output) => {
      const words =
        /^(?:LOSS|CORRUPTION|TORN|ANSWER|RECOVERY) .*(?:\n(?:LOSS|CORRUPTION|TORN|ANSWER|RECOVERY) .*)?/m.exec(output);
      const cycles = [...output.matchAll(/^(\d+) [a-z]/gm)].length;
      return words === null ? undefined : `after ${cycles} cycles: ${words[0].replace("\n", " ").slice(0, 220)}`;
    },
  };
}

function seconds(): number {
  if (values.seconds !== undefined) return Number(values.seconds);
  // Somebody who asks for a count gets all of it.
  if (values["power-cuts"] !== undefined || Number(values.cycles) !== UNBOUNDED) return UNBOUNDED;
  const budgets = JSON.parse(readFileSync(join(projectRoot, "conformance", "budget.json"), "utf8"));
  return (budgets as { crash: number }).crash;
}
