/**
 * Whether the tests of the verifier notice when a check is inverted or taken out: of `src/trust` with what it asks a trusted
 * collection, or (`--room verdicts`) of the registry's use of it, with a database:
 * `node bin/goldseal.mjs run conformance/trust/mutate.ts [--room verdicts] [--files verdict.ts,dsse.ts]`. At least 95 % of all
 * mutants must be killed, and each survivor must be explained.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { createVitest, type TestSpecification, type Vitest } from "vitest/node";
import { projectRoot } from "../harness/server.ts";
import { EXPLAINED } from "./explained.ts";
import { type Mutation, mutationsOf } from "./mutations.ts";

const PERCENT = 95;

interface Room {
  readonly folder: string;
  /** Of another folder, with its test beside it. */
  readonly also: readonly string[];
  readonly setup?: string;
  /** Which tests see a file first; all others only when these see nothing. */
  readonly nearest: readonly (readonly [file: RegExp, test: RegExp])[];
}

const ROOMS: Readonly<Record<string, Room>> = {
  trust: {
    folder: "src/trust",
    also: ["src/notary/tuf/trusted-targets.ts"],
    nearest: [
      [/trusted-targets/, /trusted-targets/],
      [/cosign|detached/, /cosign-/],
      [/dsse|ecdsa-der|strict-json/, /dsse/],
      [/constraint/, /constraint/],
      [/policy|require/, /policy/],
      [/approval/, /approval/],
      [/image-pattern/, /image-pattern/],
      [/possession/, /possession/],
      [/./, /(?:verdict|verdict-tag|verdict-class|tuf-evidence|subject)\.test/],
    ],
  },
  verdicts: {
    folder: "src/verdicts",
    also: [],
    setup: "src/storage/test-postgres.ts",
    nearest: [
      [/bridge-policy/, /bridge-policy/],
      [/cosign-reader/, /cosign-reader/],
      [/content/, /content/],
      [/judge-promotion/, /judge-promotion/],
      [/check-pull/, /(?:check-pull|pull)\.test/],
      [/judge-image|people/, /judge-image/],
      [/./, /pull|polic/],
    ],
  },
};

const { values } = parseArgs({ options: { files: { type: "string" }, room: { type: "string", default: "trust" } } });
const wanted = values.files?.split(",");
const room = getRoom();
const files = [...readdirSync(join(projectRoot, room.folder)).map((name) => `${room.folder}/${name}`), ...room.also]
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .filter((file) => wanted === undefined || wanted.includes(basename(file)));

const folder = mkdtempSync(join(tmpdir(), "goldseal-mutants-"));
try {
  cpSync(join(projectRoot, "src"), join(folder, "src"), { recursive: true });
  cpSync(join(projectRoot, "package.json"), join(folder, "package.json"));
  symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
  const vitest = await openVitest();
  try {
    process.exitCode = await main(vitest, await vitest.globTestSpecifications());
  } finally {
    // Its database ends with it.
    await vitest.close();
  }
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

function getRoom(): Room {
  const found = ROOMS[values.room];
  if (found === undefined) throw new Error(`--room is one of ${Object.keys(ROOMS).join(", ")}`);
  return found;
}

/** One for all mutants, since its start costs more than the tests; a database only where it is needed. */
function openVitest(): Promise<Vitest> {
  return createVitest("test", {
    root: folder,
    config: false,
    watch: false,
    include: [`${room.folder}/**/*.test.ts`, ...room.also.map((file) => file.replace(".ts", ".test.ts"))],
    ...(room.setup === undefined ? {} : { globalSetup: [room.setup], testTimeout: 30_000, hookTimeout: 120_000 }),
    expect: { poll: { timeout: 10_000 } },
    bail: 1,
    pool: "threads",
    fileParallelism: false,
    reporters: [{}],
  });
}

async function main(vitest: Vitest, tests: TestSpecification[]): Promise<number> {
  if (!(await isGreen(vitest, tests))) throw new Error("the tests fail before anything is changed");
  const counts = { killed: 0, explained: 0, unexplained: 0 };
  for (const file of files) {
    for (const mutation of mutationsOf(readFileSync(join(projectRoot, file), "utf8"))) {
      counts[await judge(vitest, tests, { file, ...mutation })]++;
    }
  }
  const total = counts.killed + counts.explained + counts.unexplained;
  const percent = (100 * counts.killed) / total;
  const survived = `${counts.explained} survivors explained, ${counts.unexplained} not`;
  console.log(`${total} mutants, ${counts.killed} killed (${percent.toFixed(1)} %), ${survived}`);
  return percent >= PERCENT && counts.unexplained === 0 ? 0 : 1;
}

interface Mutant extends Mutation {
  readonly file: string;
}

async function judge(
  vitest: Vitest,
  tests: TestSpecification[],
  mutant: Mutant,
): Promise<"killed" | "explained" | "unexplained"> {
  const { file, line, what, text } = mutant;
  const original = readFileSync(join(projectRoot, file), "utf8");
  write(vitest, file, text);
  const near = room.nearest.find(([of]) => of.test(file))?.[1];
  const [first, others] = [true, false].map((isNear) =>
    tests.filter(({ moduleId }) => near?.test(moduleId) === isNear),
  );
  const survived = (await isGreen(vitest, first ?? [])) && (await isGreen(vitest, others ?? []));
  write(vitest, file, original);
  if (!survived) return "killed";
  const old = (original.split("\n")[line - 1] ?? "").trim();
  const known = EXPLAINED.find((one) => file.endsWith(one.file) && one.line === old && one.what === what);
  console.log(`${known ? "explained" : "SURVIVED "} ${file}:${line} ${what}: ${old}${known ? ` (${known.why})` : ""}`);
  return known ? "explained" : "unexplained";
}

function write(vitest: Vitest, file: string, text: string): void {
  writeFileSync(join(folder, file), text);
  vitest.invalidateFile(join(folder, file));
}

/**
 * A file that cannot even be loaded fails too. What did not run says nothing and must not look like a failure. vitest keeps
 * modules and unhandled errors of earlier runs: those are not looked at.
 */
async function isGreen(vitest: Vitest, tests: TestSpecification[]): Promise<boolean> {
  const { testModules } = await vitest.runTestSpecifications(tests);
  const states = tests.map((test) => testModules.find(({ moduleId }) => moduleId === test.moduleId)?.state());
  if (states.includes("failed")) return false;
  if (states.every((state) => state === "passed")) return true;
  throw new Error(`tests did not run: ${states.join(", ")}`);
}
