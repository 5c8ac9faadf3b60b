/**
 * `npm run matrix [-- --only GROUP]`: the access matrix against the running product. `-- --timing [--pairs N]` prints instead whether time tells
 * what is hidden from what is missing (N pairs for each operation, default 2,000).
 */
import { parseArgs } from "node:util";
import { Report } from "../harness/report.ts";
import { type RunningServer, startServer } from "../harness/server.ts";
import type { Stage } from "./cells.ts";
import { checkCoverage } from "./coverage.ts";
import { runAuditCells, runCatalogCells, runNameCells, runReferrerCells, runScopeLists } from "./listing-cells.ts";
import { runMountCells } from "./mount-cells.ts";
import { runRestCells } from "./rest-cells.ts";
import { readRouteTable } from "./route-table.ts";
import { openStage, runCells } from "./run-cells.ts";
import { runSessionCells } from "./session-cells.ts";
import { runTiming } from "./timing.ts";
import { runClaimCells } from "./token-claims.ts";
import { plantKey } from "./token-key.ts";
import { runLifeCells } from "./token-life.ts";
import { runScopeCells } from "./token-scopes.ts";
import { runTrustScopeCells } from "./trust-scopes.ts";
import { USERS } from "./world.ts";

const { values } = parseArgs({
  options: {
    timing: { type: "boolean", default: false },
    pairs: { type: "string", default: "2000" },
    only: { type: "string", multiple: true, default: [] },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  // Being the bridge's account opens the bridge's routes, and nothing else: every other cell says so.
  const env = { GOLDSEAL_TLS: "off", GOLDSEAL_LOG_LEVEL: "error", GOLDSEAL_BRIDGE_ACCOUNT: USERS.A1 };
  const server = await startServer({ env, workers: 2 });
  try {
    const stage = await openStage(server);
    try {
      if (!values.timing) return await runMatrix(server, stage);
      await runTiming(stage, Number(values.pairs));
      return 0;
    } finally {
      stage.world.wire.close();
    }
  } finally {
    await server.stop();
  }
}

async function runMatrix(server: RunningServer, stage: Stage): Promise<number> {
  const report = new Report();
  const { world } = stage;
  const groups: Readonly<Record<string, () => Promise<void>>> = {
    // First, while there is nothing but what the world was made with.
    catalogs: async () => {
      await runCatalogCells(report, stage);
      await runScopeLists(report, stage);
    },
    cells: () => runCells(report, stage),
    audit: () => runAuditCells(report, stage),
    "routes of REST": () => runRestCells(report, stage),
    mounts: () => runMountCells(report, world),
    "scopes of tokens": async () => {
      await runScopeCells(report, world, server.host);
      await runTrustScopeCells(report, world);
    },
    "claims of tokens": async () => runClaimCells(report, world, await plantKey(server.data)),
    "life of tokens": () => runLifeCells(report, world),
    uploads: () => runSessionCells(report, world),
    referrers: () => runReferrerCells(report, stage),
    names: () => runNameCells(report, stage),
  };
  await report.check("every route is covered", () => checkCoverage(readRouteTable()));
  for (const [name, run] of Object.entries(groups)) {
    if (values.only.length > 0 && !values.only.includes(name)) continue;
    const [started, before] = [performance.now(), report.counts];
    await run();
    const { passed, failed } = report.counts;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${name}: ${passed - before.passed} passed, ${failed - before.failed} failed in ${seconds} s`);
  }
  await report.check("nothing was logged as an error", () => {
    const lines = server
      .output()
      .split("\n")
      .filter((line) => line.includes('"level":"error"'));
    if (lines.length > 0) throw new Error(`${lines.length} lines, for example\n${lines.slice(0, 3).join("\n")}`);
  });
  return report.finish();
}
