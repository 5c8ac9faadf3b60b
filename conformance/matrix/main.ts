/** `npm run matrix`: the access matrix against the running product. */
import { parseArgs } from "node:util";
import { Report } from "../harness/report.ts";
import { startServer } from "../harness/server.ts";
import { checkCoverage } from "./coverage.ts";
import { runRestCells } from "./rest-cells.ts";
import { readRouteTable } from "./route-table.ts";
import { openStage, runCells } from "./run-cells.ts";

const { values } = parseArgs({ options: { timing: { type: "boolean", default: false } } });
void values;
process.exitCode = await main();

async function main(): Promise<number> {
  const report = new Report();
  const server = await startServer({ env: { GOLDSEAL_TLS: "off", GOLDSEAL_LOG_LEVEL: "error" }, workers: 2 });
  try {
    await report.check("every route is covered", () => checkCoverage(readRouteTable()));
    const stage = await openStage(server);
    await runCells(report, stage);
    await runRestCells(report, stage);
    stage.world.wire.close();
  } finally {
    await server.stop();
  }
  return report.finish();
}
