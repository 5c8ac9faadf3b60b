/**
 * `npm run clients [-- --layer 5GiB]`: the programs people really use against a freshly started Goldseal: docker 20.10 and
 * 28 through an engine of the suite's own, skopeo, podman, buildah, crane, oras, regctl. `--only docker` runs one group;
 * `--blobs s3 [--s3 minio|versitygw] [--redirect]` keeps the server's blobs on a real S3 server.
 */
import { parseArgs } from "node:util";
import { blobsOptions, findBlobsMistake, openBlobs } from "../harness/blobs-option.ts";
import { Report } from "../harness/report.ts";
import { checkContainers } from "./containers.ts";
import { checkDocker } from "./docker.ts";
import { checkLargeLayer, parseSize } from "./large-layer.ts";
import { checkLayoutClients } from "./layout-clients.ts";
import { checkReferrers } from "./referrers.ts";
import { openWorld, type World } from "./world.ts";

const { values } = parseArgs({
  options: {
    layer: { type: "string", default: "512MiB" },
    only: { type: "string", multiple: true, default: [] },
    ...blobsOptions,
  },
});
const GROUPS: Readonly<Record<string, (world: World) => Promise<void>>> = {
  layouts: checkLayoutClients,
  referrers: checkReferrers,
  containers: checkContainers,
  docker: checkDocker,
  layer: (world) => checkLargeLayer(world, values.layer),
};
process.exitCode = await main();

async function main(): Promise<number> {
  parseSize(values.layer);
  const mistake = findBlobsMistake(values);
  if (mistake !== undefined) {
    console.error(mistake);
    return 2;
  }
  const report = new Report();
  const blobs = await openBlobs(values);
  await openWorld(report, blobs.env).then(
    (world) => checkGroups(world),
    (error: unknown) => report.fail("start the server and make two users", String(error)),
  );
  await blobs.stop();
  return report.finish();
}

async function checkGroups(world: World): Promise<void> {
  for (const [name, check] of Object.entries(GROUPS)) {
    if (values.only.length && !values.only.includes(name)) continue;
    // A group that cannot even begin is one failure; the others still run.
    await check(world).catch((error: unknown) => world.report.fail(`${name}: the group itself`, String(error)));
  }
  await world.report.check("the server drains and exits 0 within 10 s of SIGTERM", () => world.stop());
  world.removeFiles();
}
