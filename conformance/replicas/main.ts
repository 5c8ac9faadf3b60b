/**
 * `npm run replicas [-- --only sharing --blobs fs|s3 --s3 minio|versitygw]`: three replicas of the product over one
 * PostgreSQL and one bucket (MinIO's by default) behind nginx, and what must hold there.
 */
import { parseArgs } from "node:util";
import { blobsOptions, findBlobsMistake, openBlobs } from "../harness/blobs-option.ts";
import { Report } from "../harness/report.ts";
import { missingTools } from "../harness/tools.ts";
import { checkClients } from "./clients.ts";
import { checkDatabaseFaults } from "./database-faults.ts";
import { checkRestarts } from "./restarts.ts";
import { checkSharing } from "./sharing.ts";
import { openWorld, type World } from "./world.ts";

const GROUPS: Readonly<Record<string, (report: Report, world: World) => Promise<void>>> = {
  sharing: checkSharing,
  clients: checkClients,
  restarts: checkRestarts,
  database: checkDatabaseFaults,
};
const { values } = parseArgs({
  options: {
    ...blobsOptions,
    blobs: { type: "string", default: "s3" },
    only: { type: "string", multiple: true, default: [] },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const report = new Report();
  const missing = missingTools(["nginx", "openssl"]).map((tool) => `${tool} not found`);
  const why = missing[0] ?? findBlobsMistake(values);
  if (why !== undefined) {
    report.skip("replicas behind nginx", why);
    return report.finish();
  }
  await openWorld(await openBlobs(values)).then(
    (world) => checkGroups(report, world),
    (error: unknown) => report.fail("start PostgreSQL, three replicas and nginx", String(error)),
  );
  return report.finish();
}

async function checkGroups(report: Report, world: World): Promise<void> {
  for (const [name, check] of Object.entries(GROUPS)) {
    if (values.only.length && !values.only.includes(name)) continue;
    // A group that cannot even begin is one failure; the others still run.
    await check(report, world).catch((error: unknown) => report.fail(`${name}: the group itself`, String(error)));
  }
  await report.check("replicas, nginx and PostgreSQL end in order", () => world.close());
}
