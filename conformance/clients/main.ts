/**
 * `npm run clients [-- --layer 5GiB]`: the programs people really use against a freshly started Goldseal: docker 20.10 and
 * 28 through an engine of the suite's own, skopeo, podman, buildah, crane, oras, regctl. `--only docker` runs one group.
 */
import { parseArgs } from "node:util";
import { Report } from "../harness/report.ts";
import { checkContainers } from "./containers.ts";
import { checkDocker } from "./docker.ts";
import { checkLargeLayer, parseSize } from "./large-layer.ts";
import { checkLayoutClients } from "./layout-clients.ts";
import { checkReferrers } from "./referrers.ts";
import { openWorld, type World } from "./world.ts";

const { values } = parseArgs({
  options: { layer: { type: "string", default: "512MiB" }, only: { type: "string", multiple: true, default: [] } },
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
  const report = new Report();
  const world = await openWorld(report);
  try {
    for (const [name, check] of Object.entries(GROUPS)) {
      if (values.only.length && !values.only.includes(name)) continue;
      // A group that cannot even begin is one failure; the others still run.
      await check(world).catch((error: unknown) => report.fail(`${name}: the group itself`, String(error)));
    }
  } finally {
    await report.check("the server stops cleanly on SIGTERM", () => world.close());
  }
  return report.finish();
}
