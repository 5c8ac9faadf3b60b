/**
 * `npm run chaos:swarm [-- killed|registry|clock|leader …]`: three managers and a worker, and what can go wrong while services are
 * deployed: the bridge killed at each of its failpoints, the registry away, the bridge's clock stepped, the leader's power cut, a
 * manager's authorization plug-in down. Orders of what nobody signed are mixed in all along: none may start. What was signed runs in
 * the end.
 */
import { Report } from "../harness/report.ts";
import { clockStepped } from "./chaos/clock.ts";
import { Havoc } from "./chaos/havoc.ts";
import { killedEverywhere } from "./chaos/killed.ts";
import { leaderLost } from "./chaos/leader.ts";
import { registryAway } from "./chaos/registry.ts";
import { findLeft, footprint } from "./lab/leftovers.ts";
import { findMissing } from "./lab.ts";
import { World } from "./world.ts";

/** In this order, on one world: `leader` leaves the managers with plug-ins, and those are down. */
const WRECKS: Readonly<Record<string, (havoc: Havoc, report: Report) => Promise<void>>> = {
  killed: killedEverywhere,
  registry: registryAway,
  clock: clockStepped,
  leader: leaderLost,
};

process.exitCode = await main(process.argv.slice(2));

async function main(wanted: readonly string[]): Promise<number> {
  const report = new Report();
  const missing = findMissing();
  for (const what of missing) report.skip("chaos", what);
  if (missing.length === 0) await runAll(report, wanted);
  return report.finish();
}

async function runAll(report: Report, wanted: readonly string[]): Promise<void> {
  const before = await footprint();
  const world = await World.open({ managers: 3, workers: 1 }).catch((error: unknown) =>
    report.fail("the Swarm and its registry", String(error)),
  );
  if (world === undefined) return;
  try {
    const havoc = await Havoc.begin(world);
    for (const [name, wreck] of Object.entries(WRECKS))
      if (wanted.length === 0 || wanted.includes(name)) await wreck(havoc, report);
    await report.check("nothing started that was not signed", async () => console.log(await havoc.end()));
  } catch (error) {
    report.fail("the chaos itself", error instanceof Error ? (error.stack ?? "") : String(error));
  } finally {
    await world.close();
  }
  await report.check("of the lab nothing is left on this machine", async () => {
    const left = findLeft(before, await footprint(), world.lab.name);
    if (left.length > 0) throw new Error(left.join("\n"));
  });
}
