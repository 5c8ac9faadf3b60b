/**
 * `npm run conformance:swarm [-- PART … | --without PART]`: the bridge between a freshly started Goldseal and a Swarm of several real engines,
 * each in namespaces of its own. What ann signed with goldseal runs by its digest; all else is refused, and what fails is
 * rolled back to what verifies now. Of the machine nothing is changed, and nothing stays.
 */
import { parseArgs } from "node:util";
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

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { without: { type: "string", multiple: true, default: [] } },
});
process.exitCode = await main(positionals, values.without);

async function main(wanted: readonly string[], unwanted: readonly string[]): Promise<number> {
  const unknown = [...wanted, ...unwanted].filter((part) => !Object.hasOwn(PARTS, part));
  if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: the parts are ${Object.keys(PARTS).join(", ")}`);
  const report = new Report();
  const missing = findMissing();
  for (const what of missing) report.skip("swarm", what);
  const parts = Object.keys(PARTS).filter((part) => wanted.length === 0 || wanted.includes(part));
  const chosen = parts.filter((part) => !unwanted.includes(part));
  if (missing.length === 0) await runParts(report, chosen);
  for (const part of unwanted) report.leaveOut(part, `npm run conformance:swarm -- ${part}`);
  return report.finish();
}

async function runParts(report: Report, parts: readonly string[]): Promise<void> {
  const before = await footprint();
  const world = await World.open().catch((error: unknown) => report.fail("the Swarm and its registry", String(error)));
  if (world === undefined) return;
  const { name } = world.lab;
  try {
    if (!parts.includes("deploying")) await prepare(world);
    for (const part of parts) await runPart(report, part, async () => PARTS[part]?.(world, report));
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
