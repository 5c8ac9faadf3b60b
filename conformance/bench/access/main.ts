import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { missingTools } from "../../harness/tools.ts";
import { median, type Pace, type Sample } from "../measure.ts";
import { cpuNanos } from "../processes.ts";
import { type Server, startGoldseal } from "../servers.ts";
import { figure } from "../table.ts";
import { catalogPages, maxPageMs, type PageResult } from "./catalog.ts";
import { askAround, askFrom, type Target } from "./loads.ts";
import { makePeople, type Person, pullTargets, tokenTargets } from "./people.ts";
import { SIZES, seedInstallation } from "./seed.ts";
import { copyUnjudged } from "./unjudged.ts";

/** Tokens a second that a personal token must get at least. */
const minTokens = 1_500;
/** Of a manifest GET by digest: how much judging it may cost. */
const maxShare = 0.05;
const CONNECTIONS = 32;

interface Figures {
  readonly perSecond: number;
  readonly runs: readonly number[];
  readonly p50: number;
  /** CPU µs of the server, database included, for one request. */
  readonly cpuMicros: number;
}

export interface AccessOptions {
  readonly pace: Pace;
  /** Of the parts to measure; none is all. */
  readonly names: readonly string[];
  readonly jsonFile: string | undefined;
}

/** Tokens a second, what judging a request costs, and catalog pages of a large installation. */
export async function accessBench(folder: string, { pace, names, jsonFile }: AccessOptions): Promise<number> {
  if (missingTools(["wrk"]).length > 0) {
    console.error("wrk not found: run conformance/provision --bench");
    return 2;
  }
  const servers: Server[] = [];
  try {
    const server = await startGoldseal(join(folder, "judged"), { tls: false });
    servers.push(server);
    const root = copyUnjudged(join(folder, "copy"));
    const unjudged = await startGoldseal(join(folder, "unjudged"), { tls: false, root });
    servers.push(unjudged);
    const wanted = (part: Part) => names.length === 0 || names.includes(part);
    const all = await measureAll(server, unjudged, pace, wanted);
    if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify(all, null, 2)}\n`);
    const misses = all.targets.filter(({ met }) => !met);
    console.log(`\n${all.targets.length} targets, ${misses.length} missed`);
    return 0;
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

interface Side {
  readonly server: Server;
  readonly people: readonly Person[];
}

type Part = "tokens" | "judging" | "catalog";

async function measureAll(server: Server, unjudged: Server, pace: Pace, wanted: (part: Part) => boolean) {
  const judgedSide = { server, people: await makePeople(server) };
  const unjudgedSide = { server: unjudged, people: await makePeople(unjudged) };
  const tokens = wanted("tokens") ? await measureTokens(judgedSide, pace) : undefined;
  const judging = [];
  for (const connections of wanted("judging") ? [1, CONNECTIONS] : [])
    judging.push(await measureJudging(judgedSide, unjudgedSide, { connections, pace }));
  const pages = wanted("catalog") ? await seedAndPage(server) : [];
  const targets = [
    ...(tokens === undefined
      ? []
      : [{ name: `tokens/s by a personal token ≥ ${minTokens}`, met: tokens.byToken.perSecond >= minTokens }]),
    ...judging.map(({ share, connections }) => ({
      name: `judging < ${maxShare * 100} % of a manifest GET by digest, ${connections} conn`,
      met: share < maxShare,
    })),
    ...pages.map(({ viewer, page, p50 }) => ({
      name: `catalog, ${viewer}, ${page} page < ${maxPageMs} ms`,
      met: p50 < maxPageMs,
    })),
  ];
  for (const { name, met } of targets) console.log(`${met ? "reached" : "MISSED "} ${name}`);
  return { sizes: SIZES, pace, tokens, judging, pages, targets };
}

async function seedAndPage(server: Server): Promise<PageResult[]> {
  const started = performance.now();
  await seedInstallation(server);
  console.log(`seeded ${JSON.stringify(SIZES)} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  const pages = await catalogPages(server);
  for (const page of pages) console.log(pageLine(page));
  return pages;
}

/** With 32 users: by a personal token; by a password that was right a moment ago; by one that was not seen yet. */
async function measureTokens({ server, people }: Side, pace: Pace) {
  const unseen = await timeFirstSignIns({ server, people });
  const run = (by: "byPassword" | "byToken") =>
    measure(server, async () => tokenTargets(people, by), { connections: CONNECTIONS, pace });
  const byToken = await run("byToken");
  const byPassword = await run("byPassword");
  console.log(line("tokens by a personal token", byToken));
  console.log(line("tokens by a password, seen before", byPassword));
  console.log(`tokens by a password, first time    ${figure(unseen)} ms each, one after the other`);
  return { byToken, byPassword, firstPasswordMs: unseen };
}

/** From addresses that nobody signed in from: each verifies its password with argon2id. */
async function timeFirstSignIns({ server, people }: Side): Promise<number> {
  const times: number[] = [];
  for (const [at, { byPassword, repository }] of people.entries()) {
    const started = performance.now();
    const status = await askFrom(`127.0.1.${at + 1}`, server, `/token?scope=repository:${repository}:pull`, byPassword);
    if (status !== 200) throw new Error(`a first sign-in was answered ${status}`);
    times.push(performance.now() - started);
  }
  return median(times) ?? 0;
}

/** Of one side, ready to be asked. */
interface Course {
  readonly server: Server;
  readonly targets: readonly Target[];
}

/**
 * Both by turns of one second, `rounds` × `seconds` each, either first in every second round. The share is of the
 * server's CPU time, which others on this machine disturb least, and the median of what each round says.
 */
async function measureJudging(judged: Side, unjudged: Side, { connections, pace }: Options) {
  const courses: Course[] = [];
  for (const { server, people } of [judged, unjudged]) {
    const course = { server, targets: await pullTargets(server, people) };
    await askAround({ ...course, connections, seconds: 2 });
    courses.push(course);
  }
  const runs: Figures[][] = courses.map(() => []);
  for (let round = 0; round < pace.rounds * pace.seconds; round++) {
    for (const at of round % 2 === 0 ? [0, 1] : [1, 0])
      runs[at]?.push(await timeOne(courses[at] as Course, { connections, seconds: 1 }));
  }
  const [as, not] = runs.map(medianOf);
  if (as === undefined || not === undefined) throw new Error("no rounds");
  const shares = (runs[0] ?? []).map((run, round) => 1 - (runs[1]?.[round]?.cpuMicros ?? 0) / run.cpuMicros);
  const share = median(shares) ?? 1;
  console.log(line(`manifest by digest, ${connections} conn`, as));
  console.log(line("  the same without judging", not));
  const [low, high] = quartiles(shares).map(percent);
  console.log(
    `  judging is ${percent(share)} % of the CPU time of a request (half of the rounds: ${low} to ${high} %)`,
  );
  return { connections, with: as, without: not, share };
}

function percent(share: number): string {
  return (share * 100).toFixed(1);
}

function quartiles(values: readonly number[]): number[] {
  const sorted = [...values].sort((a, b) => a - b);
  return [0.25, 0.75].map((part) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0);
}

interface Options {
  readonly connections: number;
  readonly pace: Pace;
}

async function measure(
  server: Server,
  find: () => Promise<Target[]>,
  { connections, pace }: Options,
): Promise<Figures> {
  const targets = await find();
  await askAround({ server, targets, connections, seconds: 1 });
  const runs: Figures[] = [];
  for (let round = 0; round < pace.rounds; round++) {
    runs.push(await timeOne({ server, targets }, { connections, seconds: pace.seconds }));
  }
  return medianOf(runs);
}

async function timeOne(
  { server, targets }: Course,
  load: { readonly connections: number; readonly seconds: number },
): Promise<Figures> {
  const before = cpuNanos(server.pid);
  const sample: Sample = await askAround({ server, targets, ...load });
  const cpuMicros = (cpuNanos(server.pid) - before) / 1e3 / sample.operations;
  return { perSecond: sample.value, runs: [sample.value], p50: sample.p50 ?? 0, cpuMicros };
}

function medianOf(runs: readonly Figures[]): Figures {
  const of = (pick: (run: Figures) => number) => median(runs.map(pick)) ?? 0;
  return {
    perSecond: of(({ perSecond }) => perSecond),
    runs: runs.flatMap((run) => run.runs),
    p50: of(({ p50 }) => p50),
    cpuMicros: of(({ cpuMicros }) => cpuMicros),
  };
}

function line(name: string, { perSecond, p50, cpuMicros, runs }: Figures): string {
  const each = runs.map(figure).join(" ");
  return `${name.padEnd(36)}${figure(perSecond)}/s (${each}), p50 ${p50.toFixed(2)} ms, ${figure(cpuMicros)} µs CPU each`;
}

function pageLine({ viewer, teams, visible, page, p50, p99 }: PageResult): string {
  const who = `catalog, ${viewer}: ${teams} teams, sees ${visible}`;
  return `${who.padEnd(52)}${page.padEnd(8)}p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
}
