/**
 * `npm run fsck`: damaged bytes as operators and clients meet them: found, set aside, healed by the next push; checks and
 * scrubs over kills and two replicas; restored backups. `--only fs|minio|restore` leaves the others out.
 */
import { parseArgs } from "node:util";
import { Report } from "../harness/report.ts";
import { hasS3Server } from "../harness/s3-servers.ts";
import { checkWorld } from "./cases.ts";
import { checkRestore } from "./restore.ts";
import { type Backend, openWorld } from "./world.ts";

const { values } = parseArgs({ options: { only: { type: "string", multiple: true, default: [] } } });
const report = new Report();
process.exitCode = await main();

async function main(): Promise<number> {
  const isWanted = (name: string): boolean => values.only.length === 0 || values.only.includes(name);
  for (const backend of ["fs", "minio"] as const) {
    if (!isWanted(backend)) continue;
    if (backend === "minio" && !hasS3Server("minio")) report.skip("damaged objects", "minio not found");
    else
      await checkBackend(backend).catch((error: unknown) => report.fail(`${backend}: the group itself`, String(error)));
  }
  if (isWanted("restore")) await report.check("restored backups, of the database or of the blobs", checkRestore);
  return report.finish();
}

async function checkBackend(backend: Backend): Promise<void> {
  const world = await openWorld(backend);
  try {
    await checkWorld(report, world);
  } finally {
    await world.close();
  }
}
