/**
 * `npm run bench`: Goldseal and Debian's docker-registry side by side on this machine, by turns, as medians and ratios.
 *   -- access        instead: tokens a second, what judging a request costs, catalog pages of a large installation
 *   -- scale         instead: pages and garbage collection in an installation of a million blobs and tags
 *   -- [NAME …]      only the cases whose name contains NAME ("manifest", "push", "1 stream")
 *   -- notary        instead: reads and publishes of trust data among 100,000 GUNs, against notary-server with PostgreSQL
 *   -- trust         instead: what a policy in mode enforce costs a pull
 *   -- deploy        instead: from `goldseal deploy` to a running task, against `docker service create` by digest (root)
 *   -- s3            instead: pushes and pulls on one MinIO, against docker-registry 2.8 and distribution 3
 *   -- --seconds N   of each run (default 4)     --rounds N  runs of each lane (default 3)
 *   -- --quick       1 s, one round, smaller blobs
 *   -- --json FILE   all figures
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { missingTools } from "../harness/tools.ts";
import { accessBench } from "./access/main.ts";
import { pullCeiling } from "./cases/ceiling.ts";
import { imageCases } from "./cases/images.ts";
import { manifestCases } from "./cases/manifests.ts";
import { type MemoryResult, memoryAtIdle, memoryUnderLoad } from "./cases/memory.ts";
import { pullCases, STREAMS } from "./cases/pulls.ts";
import { pushCases } from "./cases/pushes.ts";
import { timeSecondStarts } from "./cases/start.ts";
import { tagCases } from "./cases/tags.ts";
import { deployBench } from "./deploy/main.ts";
import { type Lane, lanesOf } from "./lanes.ts";
import { type CaseResult, measure, median } from "./measure.ts";
import { notaryBench } from "./notary/main.ts";
import { benchS3 } from "./s3.ts";
import { scaleBench } from "./scale/main.ts";
import { seedAll } from "./seed.ts";
import { type Server, startGoldseal, startPeer } from "./servers.ts";
import { figure, header, lines, memoryTable } from "./table.ts";
import { trustBench } from "./trust/main.ts";
import { openWorkspace } from "./workspace.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string" },
    rounds: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const pace = {
  seconds: Number(values.seconds ?? (values.quick ? 1 : 4)),
  rounds: Number(values.rounds ?? (values.quick ? 1 : 3)),
};
const mebibytes = values.quick ? 64 : 256;
const tags = values.quick ? 1_000 : 10_000;

const CEILING = "pull client's ceiling";
const MEMORY = "memory";
const TAGS = "tags";
const START = "npm start, second time, until ready";
const wanted = (name: string): boolean => positionals.length === 0 || positionals.some((text) => name.includes(text));

const OTHER_BENCHES: Readonly<Record<string, (folder: string) => Promise<number>>> = {
  access: (folder) => accessBench(folder, { pace, names: positionals.slice(1), jsonFile: values.json }),
  scale: (folder) =>
    scaleBench(folder, { pace, names: positionals.slice(1), quick: values.quick, jsonFile: values.json }),
  notary: (folder) => notaryBench(folder, { ...pace, quick: values.quick, names: positionals.slice(1) }, values.json),
  trust: (folder) => trustBench(folder, { pace, jsonFile: values.json }),
  deploy: () => deployBench({ pace, jsonFile: values.json }),
  s3: (folder) => benchS3(folder, { ...pace, quick: values.quick }),
};

const failed: string[] = [];

const bench = OTHER_BENCHES[positionals[0] ?? ""] ?? main;
process.exitCode = await bench(openWorkspace());

async function main(folder: string): Promise<number> {
  const missing = missingTools(["docker-registry", "wrk"]);
  if (missing.length > 0) {
    console.error(`${missing.join(" and ")} not found: run conformance/provision --bench`);
    return 2;
  }
  const servers: Server[] = [];
  const started = async (server: Promise<Server>): Promise<Server> => {
    servers.push(await server);
    return server;
  };
  const stopAll = () => Promise.all(servers.splice(0).map((server) => server.stop()));
  try {
    const peer = await started(startPeer(join(folder, "peer")));
    const plain = await started(startGoldseal(join(folder, "plain"), { tls: false }));
    const shipped = await started(startGoldseal(join(folder, "shipped"), { tls: true }));
    const figures = await measureAll(lanesOf({ peer, plain, shipped }), servers);
    await stopAll();
    const starts = wanted(START) ? await timeSecondStarts(shipped.data, pace.rounds) : [];
    if (starts.length > 0)
      console.log(`\n${START}: ${median(starts)?.toFixed(0)} ms (${starts.map(figure).join(" ")})`);
    const all = { machine: machine(), pace, mebibytes, tags, ...figures, secondStartMs: starts };
    if (values.json) writeFileSync(values.json, `${JSON.stringify(all, null, 2)}\n`);
    console.log(`\n${summary(figures.cases)}`);
    return failed.length > 0 ? 1 : 0;
  } finally {
    await stopAll();
  }
}

interface Figures {
  readonly clientCeilingMiBs: readonly number[];
  readonly memory: readonly MemoryResult[];
  readonly cases: readonly CaseResult[];
}

async function measureAll(lanes: readonly Lane[], servers: readonly Server[]): Promise<Figures> {
  console.log(`${machine()}; ${pace.rounds} × ${pace.seconds} s by turns, blobs of ${mebibytes} MiB\n`);
  const oneEach = lanes.filter(({ name }) => name !== "anonymous");
  const memory = wanted(MEMORY) ? oneEach.map(memoryAtIdle) : [];
  const seed = await seedAll(servers, { mebibytes, tags: wanted(TAGS) ? tags : 0 });
  const cases = [
    ...manifestCases(seed),
    ...pullCases(seed),
    ...pushCases(mebibytes),
    ...tagCases(tags),
    ...imageCases(),
  ].filter(({ name }) => wanted(name));
  const clientCeilingMiBs: number[] = [];
  for (const streams of wanted(CEILING) ? STREAMS : [])
    clientCeilingMiBs.push(await pullCeiling(streams, pace.seconds));
  if (clientCeilingMiBs.length > 0) {
    console.log(`${CEILING}, ${STREAMS.join(", ")} streams: ${clientCeilingMiBs.map(figure).join(", ")} MiB/s\n`);
  }
  console.log(header(lanes));
  const results: CaseResult[] = [];
  for (const test of cases) {
    await orSay(test.name, async () => {
      const result = await measure(test, lanes, pace);
      console.log(lines(result));
      results.push(result);
    });
  }
  for (const lane of wanted(MEMORY) ? oneEach : []) {
    await orSay(`${MEMORY}, ${lane.name}`, async () => {
      memory.push(...(await memoryUnderLoad(lane, seed, pace.seconds)));
    });
  }
  if (memory.length > 0) console.log(memoryTable(memory));
  return { clientCeilingMiBs, memory, cases: results };
}

/** Ratios on a machine that others use come and go, so a missed one is said and not made an exit status. */
function summary(results: readonly CaseResult[]): string {
  const targets = results.flatMap(({ target }) => target ?? []);
  const met = targets.filter((target) => target.met).length;
  return `${results.length} cases, ${failed.length} failed; ${met} of ${targets.length} ratios reached`;
}

/** A case that fails is said so and fails the bench, but leaves the others their figures. */
async function orSay(name: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    failed.push(name);
    console.log(`FAILED ${name}: ${error instanceof Error ? error.message : error}`);
  }
}

function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}`;
}
