import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { missingTools } from "../../harness/tools.ts";
import { median, type Pace, type Sample } from "../measure.ts";
import { cpuNanos } from "../processes.ts";
import { type Server, startGoldseal } from "../servers.ts";
import { figure } from "../table.ts";
import { conclude } from "../targets.ts";
import { catalogPages, maxPageMs, type PageResult } from "./catalog.ts";
import { type JudgingResult, judgingLine, maxShare, measureJudging } from "./judging.ts";
import { askAround, askFrom, type Target } from "./loads.ts";
import { makePeople, type Person, tokenTargets } from "./people.ts";
import { SIZES, seedInstallation } from "./seed.ts";

/** Tokens a second that a personal token must get at least. */
const minTokens = 1_500;
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
    const server = await startGoldseal(join(folder, "server"), { tls: false });
    servers.push(server);
    const wanted = (part: Part) => (part !== "control" && names.length === 0) || names.includes(part);
    const all = await measureAll(server, { pace, folder, wanted });
    if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify(all, null, 2)}\n`);
    return conclude(all.targets);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** `control` is measured only where it is named: as `judging`, but of a server that judges in every turn. */
type Part = "tokens" | "judging" | "control" | "catalog";

interface Measuring {
  readonly pace: Pace;
  readonly folder: string;
  readonly wanted: (part: Part) => boolean;
}

async function measureAll(server: Server, { pace, folder, wanted }: Measuring) {
  const tokens = wanted("tokens") ? await measureTokens({ server, people: await makePeople(server) }, pace) : undefined;
  const judge = async (part: "judging" | "control"): Promise<JudgingResult[]> => {
    if (!wanted(part)) return [];
    const results = await measureJudging({ pace, folder, control: part === "control" });
    for (const result of results) console.log(`${part}: ${judgingLine(result)}`);
    return results;
  };
  const [control, judging] = [await judge("control"), await judge("judging")];
  const pages = wanted("catalog") ? await seedAndPage(server) : [];
  const targets = [
    ...(tokens === undefined
      ? []
      : [{ name: `tokens/s by a personal token ≥ ${minTokens}`, met: tokens.byToken.perSecond >= minTokens }]),
    ...judging.map(({ difference, connections }) => ({
      name: `judging < ${maxShare * 100} % of a manifest GET by digest, ${connections} conn`,
      met: difference.middle < maxShare,
    })),
    ...pages.map(({ viewer, page, p50 }) => ({
      name: `catalog, ${viewer}, ${page} page < ${maxPageMs} ms`,
      met: p50 < maxPageMs,
    })),
  ];
  for (const { name, met } of targets) console.log(`${met ? "reached" : "MISSED "} ${name}`);
  return { sizes: SIZES, pace, tokens, control, judging, pages, targets };
}

async function seedAndPage(server: Server): Promise<PageResult[]> {
  const started = performance.now();
  await seedInstallation(server);
  console.log(`seeded ${JSON.stringify(SIZES)} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  const pages = await catalogPages(server);
  for (const page of pages) console.log(pageLine(page));
  return pages;
}

interface Side {
  readonly server: Server;
  readonly people: readonly Person[];
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
  { server, targets }: { readonly server: Server; readonly targets: readonly Target[] },
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
