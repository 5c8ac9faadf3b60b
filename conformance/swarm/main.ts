/**
 * `npm run conformance:swarm [-- PART …]`: the bridge between a freshly started Goldseal and a Swarm of several real engines,
 * each in namespaces of its own. What ann signed with goldseal runs by its digest; all else is refused, and what fails is
 * rolled back to what verifies now. Of the machine nothing is changed, and nothing stays.
 */
import { Report } from "../harness/report.ts";
import { findLeft, footprint } from "./lab/leftovers.ts";
import { findMissing } from "./lab.ts";
import type { Part } from "./looking.ts";
import { credentials } from "./parts/credentials.ts";
import { deploying, prepare } from "./parts/deploying.ts";
import { door } from "./parts/door.ts";
import { placement } from "./parts/placement.ts";
import { plugIn } from "./parts/plug-in.ts";
import { shipping } from "./parts/shipping.ts";
import { stacks } from "./parts/stacks.ts";
import { story } from "./parts/story.ts";
import { superseded } from "./parts/superseded.ts";
import { views } from "./parts/views.ts";
import { watch } from "./parts/watch.ts";
import { World } from "./world.ts";

/** In this order, on one world. Of some alone, `deploying` is left out but for what all begin with. */
const PARTS: Readonly<Record<string, Part>> = {
  ...{ deploying, door, story, placement, views, stacks, credentials, watch, superseded },
  ...{ "plug-in": plugIn, shipping },
};

/** It builds an image of 250 MB and runs only when it is named. */
const UNASKED = "shipping";

process.exitCode = await main(process.argv.slice(2));

async function main(wanted: readonly string[]): Promise<number> {
  const report = new Report();
  const missing = findMissing();
  for (const what of missing) report.skip("swarm", what);
  if (missing.length === 0) await runParts(report, wanted);
  return report.finish();
}

async function runParts(report: Report, wanted: readonly string[]): Promise<void> {
  const before = await footprint();
  const world = await World.open().catch((error: unknown) => report.fail("the Swarm and its registry", String(error)));
  if (world === undefined) return;
  const { name } = world.lab;
  try {
    if (wanted.length > 0 && !wanted.includes("deploying")) await prepare(world);
    for (const [part, check] of Object.entries(PARTS)) {
      if (wanted.length > 0 ? !wanted.includes(part) : part === UNASKED) continue;
      await runPart(report, part, () => check(world, report));
    }
  } finally {
    await world.close();
  }
  await report.check("of the lab nothing is left on this machine", async () => {
    const left = findLeft(before, await footprint(), name);
    if (left.length > 0) throw new Error(left.join("\n"));
  });
}

/** What stops a part fails it, and leaves the others their turn. */
async function runPart(report: Report, name: string, check: () => Promise<void>): Promise<void> {
  console.log(`\n${name}`);
  const started = performance.now();
  await check().catch((error: unknown) => {
    report.fail(`${name}, as a whole`, error instanceof Error ? (error.stack ?? "") : String(error));
  });
  console.log(`${name}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
