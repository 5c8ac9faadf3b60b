/**
 * `npm run fuzz [-- --requests N] [--seconds N] [--seed S] [--replay FILE]`: generated requests against the running
 * product. Ends when N requests (default 50,000) were answered or, where seconds are given, those are over.
 */
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import fc from "fast-check";
import { Report } from "../harness/report.ts";
import { type RunningServer, startServer } from "../harness/server.ts";
import { type Fault, findFault, findRawFault, PROPERTIES, patienceMs } from "./checks.ts";
import { requests } from "./grammar.ts";
import { refuseManyManifests } from "./many-manifests.ts";
import { type RawCase, rawCases } from "./raw.ts";
import { shrink } from "./shrink.ts";
import { Tally } from "./tally.ts";
import { Connection, toBytes, type WireRequest } from "./wire.ts";
import { World } from "./world.ts";

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "50000" },
    seconds: { type: "string", default: "0" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    replay: { type: "string" },
  },
});
const wanted = Number(values.requests);
const seconds = Number(values.seconds);
const seed = Number(values.seed);

/** As many connections at once, so that both workers have always something to do. */
const lanes = 24;
const batchSize = 400;
/** One in so many is bytes on a connection of its own. */
const rawEvery = 12;
/** No answer until then is a hang; what only took longer than {@link patienceMs} is asked again before it counts. */
const givenUpMs = 10_000;
/** Without seconds, a run this long hangs. */
const givenUpSeconds = 1800;
/**
 * How long rare kinds of answers are looked for once the requests are over. The rarest comes once in about 8 batches, so
 * whoever finds none has a grammar that does not lead there.
 */
const soughtBatches = 200;
const restockEvery = 8;
/** Start and stop of the server belong to the seconds given. */
const overheadSeconds = 15;

process.exitCode = await main();

async function main(): Promise<number> {
  const server = await startServer({ env: { GOLDSEAL_TLS: "off", GOLDSEAL_LOG_LEVEL: "error" }, workers: 2 });
  try {
    const world = new World(server.url, server.admin.password);
    await world.prepare();
    if (values.replay !== undefined) return await replay(world, values.replay);
    return await fuzz(server, world);
  } finally {
    await server.stop();
  }
}

async function fuzz(server: RunningServer, world: World): Promise<number> {
  const report = new Report();
  const tally = new Tally();
  const processes = processesUnder(server.pid);
  const started = performance.now();
  const until = started + Math.max(0, (seconds || givenUpSeconds) - overheadSeconds) * 1000;
  console.log(`seed ${seed}, ${wanted} requests${seconds ? ` or ${seconds} s` : ""}, ${lanes} connections`);

  const goOn = (): boolean => tally.requests < wanted && performance.now() < until;
  const source = generate(world, goOn);
  await sendAll(world, source, tally);
  await seekMissing(world, tally);
  await askSlowAgain(world, tally);

  for (const property of PROPERTIES) {
    const faults = tally.faults.get(property) ?? [];
    if (faults.length === 0) report.pass(property);
    else report.fail(property, `${faults.length} times, for example\n${faults.slice(0, 5).join("\n")}`);
  }
  await report.check("every kind of answer was seen", () => tally.mustHaveSeen());
  await report.check(seconds ? `${wanted} requests, or as many as ${seconds} s allow` : `${wanted} requests`, () => {
    if (tally.requests < wanted && !seconds) throw new Error(`only ${tally.requests}`);
  });
  await report.check("an image that nobody touched is as it was, and the server is ready", () => world.checkKept());
  await report.check("200 manifests above the limit at once: 413, and no process holds them", () =>
    refuseManyManifests(world, processes),
  );
  await report.check("every process lives, and no other was started", () => {
    const now = processesUnder(server.pid);
    if (String(now) !== String(processes)) throw new Error(`${processes} became ${now}`);
  });
  await report.check("nothing was logged as an error", () => {
    const lines = server
      .output()
      .split("\n")
      .filter((line) => line.includes('"level":"error"'));
    if (lines.length > 0) throw new Error(`${lines.length} lines, for example\n${lines.slice(0, 3).join("\n")}`);
  });
  world.close();
  tally.print();
  const took = (performance.now() - started) / 1000;
  console.log(
    `seed ${seed}, ${tally.requests} requests in ${took.toFixed(1)} s (${Math.round(tally.requests / took)}/s)`,
  );
  return report.finish();
}

type Case =
  | { readonly kind: "request"; readonly request: WireRequest }
  | { readonly kind: "raw"; readonly raw: RawCase };

/** Deterministic in what is generated; what it is aimed at (sessions) depends on what has been answered by then. */
function* generate(world: World, goOn: () => boolean): Generator<Case> {
  for (let batch = 0; ; batch++) {
    const size = { numRuns: batchSize, seed: seed + batch };
    const raws = fc.sample(rawCases, { ...size, numRuns: Math.ceil(batchSize / rawEvery) });
    for (const [index, make] of fc.sample(requests, size).entries()) {
      if (!goOn()) return;
      const raw = index % rawEvery === 0 ? raws[index / rawEvery] : undefined;
      if (raw !== undefined) yield { kind: "raw", raw: raw(world) };
      yield { kind: "request", request: make(world) };
    }
  }
}

/** What chance left out, from the same grammar: of what it makes, all that may be answered so, on a world that allows it. */
async function seekMissing(world: World, tally: Tally): Promise<void> {
  for (let batch = 0; batch < soughtBatches && tally.missing().length > 0; batch++) {
    if (batch % restockEvery === 0) await world.restock();
    await sendAll(world, generateSought(world, tally, seed - 1 - batch), tally);
  }
}

function* generateSought(world: World, tally: Tally, from: number): Generator<Case> {
  for (const make of fc.sample(requests, { numRuns: batchSize, seed: from })) {
    const request = make(world);
    if (tally.isSought(request)) yield { kind: "request", request };
  }
}

async function sendAll(world: World, source: Generator<Case>, tally: Tally): Promise<void> {
  await Promise.all(Array.from({ length: lanes }, () => lane(world, source, tally)));
}

async function lane(world: World, source: Generator<Case>, tally: Tally): Promise<void> {
  const connection = new Connection(Number(new URL(world.origin).port));
  for (const each of source) {
    if (each.kind === "raw") await tryRaw(connection, each.raw, tally);
    else if (each.request.framing === "short") await tryShort(connection, each.request, tally);
    else await tryRequest(world, connection, each.request, tally);
  }
  connection.close();
}

async function tryRequest(world: World, connection: Connection, request: WireRequest, tally: Tally): Promise<void> {
  const send = async (sent: WireRequest): Promise<Fault | undefined> => {
    const outcome = await connection.exchange(toBytes(sent), { method: sent.method, timeoutMs: givenUpMs });
    if ("status" in outcome) {
      world.noteSession(outcome);
      if (sent === request) tally.count(request, outcome);
    }
    return findFault(sent, outcome, world.origin);
  };
  const fault = await send(request);
  if (fault === undefined) return;
  if (fault.property === "an answer within 1 s" && !fault.detail.startsWith("timeout")) return tally.noteSlow(request);
  const smallest = await shrink(request, async (smaller) => (await send(smaller))?.property === fault.property);
  tally.fail(fault, toBytes(smallest));
}

/** The machine is shared: a slow answer is the server's fault when it is slow again, twice, with nothing else to do. */
async function askSlowAgain(world: World, tally: Tally): Promise<void> {
  const connection = new Connection(Number(new URL(world.origin).port));
  for (const request of tally.slow) {
    const times: number[] = [];
    do {
      const outcome = await connection.exchange(toBytes(request), { method: request.method, timeoutMs: givenUpMs });
      times.push("ms" in outcome ? Math.round(outcome.ms) : givenUpMs);
    } while (times.length < 2 && (times.at(-1) ?? 0) > patienceMs);
    const detail = `asked again alone: ${times.join(" ms, ")} ms`;
    if ((times.at(-1) ?? 0) > patienceMs) tally.fail({ property: "an answer within 1 s", detail }, toBytes(request));
  }
  connection.close();
}

/** The client promises more than it sends, waits a moment for a refusal, and hangs up. */
async function tryShort(connection: Connection, request: WireRequest, tally: Tally): Promise<void> {
  const raw = { name: "short body", bytes: toBytes(request), due: false };
  tally.countRaw(raw.name);
  const fault = findRawFault(raw, await connection.gather(raw.bytes, 20));
  if (fault !== undefined) tally.fail(fault, raw.bytes);
}

async function tryRaw(connection: Connection, raw: RawCase, tally: Tally): Promise<void> {
  tally.countRaw(raw.name);
  const ms = raw.due ? patienceMs : 20;
  let fault = findRawFault(raw, await connection.gather(raw.bytes, ms));
  if (fault?.property === "an answer within 1 s")
    fault = findRawFault(raw, await connection.gather(raw.bytes, givenUpMs));
  if (fault !== undefined) tally.fail(fault, raw.bytes);
}

/** Sends the bytes of a file as they are and shows what comes back within a second. */
async function replay(world: World, file: string): Promise<number> {
  const connection = new Connection(Number(new URL(world.origin).port));
  const { text } = await connection.gather(readFileSync(file), patienceMs);
  console.log(text);
  world.close();
  return 0;
}

/** Process ids of all descendants. */
function processesUnder(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // It ended while we were looking.
    }
  }
  const isUnder = (child: number): boolean => {
    const parent = parents.get(child);
    return parent !== undefined && (parent === pid || isUnder(parent));
  };
  return [...parents.keys()].filter((child) => isUnder(child) && isNode(child));
}

/** PostgreSQL's own processes come and go. */
function isNode(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("main.ts");
  } catch {
    return false;
  }
}
