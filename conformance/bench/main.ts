/**
 * `npm run bench`: Goldseal and Debian's docker-registry side by side on this machine, by turns, as medians and ratios.
 *   -- [NAME …]      only the cases whose name contains NAME ("manifest", "push", "1 stream")
 *   -- --seconds N   of each run (default 4)     --rounds N  runs of each lane (default 3)
 *   -- --quick       1 s, one round, smaller blobs
 *   -- --json FILE   all figures
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { missingTools } from "../harness/tools.ts";
import { manifestCases } from "./cases/manifests.ts";
import { pullCases } from "./cases/pulls.ts";
import { pushCases } from "./cases/pushes.ts";
import { type Lane, lanesOf } from "./lanes.ts";
import { type Case, type CaseResult, measure } from "./measure.ts";
import { seedAll } from "./seed.ts";
import { type Server, startGoldseal, startPeer } from "./servers.ts";
import { header, lines } from "./table.ts";

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

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(130));
process.exitCode = await main();

async function main(): Promise<number> {
  const missing = missingTools(["docker-registry", "wrk"]);
  if (missing.length > 0) {
    console.error(`${missing.join(" and ")} not found: run conformance/provision --bench`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), "goldseal-bench-"));
  const servers: Server[] = [];
  try {
    const peer = await startPeer(join(folder, "peer"));
    servers.push(peer);
    const plain = await startGoldseal(join(folder, "plain"), { tls: false });
    servers.push(plain);
    const shipped = await startGoldseal(join(folder, "shipped"), { tls: true });
    servers.push(shipped);
    await bench(lanesOf({ peer, plain, shipped }), servers);
    return 0;
  } finally {
    for (const server of servers) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bench(lanes: readonly Lane[], servers: readonly Server[]): Promise<void> {
  console.log(`${cpus().length} × ${cpus()[0]?.model}, ${pace.rounds} × ${pace.seconds} s, blobs of ${mebibytes} MiB`);
  console.log(header(lanes));
  const seed = await seedAll(servers, { mebibytes, tags: 0 });
  const cases: Case[] = [...manifestCases(seed), ...pullCases(seed), ...pushCases(mebibytes)];
  const results: CaseResult[] = [];
  for (const test of cases) {
    if (positionals.length > 0 && !positionals.some((text) => test.name.includes(text))) continue;
    const result = await measure(test, lanes, pace);
    console.log(lines(result));
    results.push(result);
  }
  if (values.json)
    writeFileSync(values.json, `${JSON.stringify({ pace, mebibytes, tags, cases: results }, null, 2)}\n`);
}
