/**
 * `npm run attack:swarm [-- --cases N] [--only WORDS]`: N ways to have something run that the right people did not sign, against
 * the real registry, bridge and engine; the attacker owns the registry's database, keys and wire. After every few of them an
 * honest image is deployed, and it runs. More than there are begin anew, in repositories of their own.
 */
import { parseArgs } from "node:util";
import { Report } from "../../harness/report.ts";
import { findMissing } from "../lab.ts";
import { ENGINE } from "./cases-engine.ts";
import { NAMES } from "./cases-names.ts";
import { ORDERS } from "./cases-orders.ts";
import { POLICY } from "./cases-policy.ts";
import { ROOTS } from "./cases-roots.ts";
import { SIGNATURES } from "./cases-signatures.ts";
import { TRUST } from "./cases-trust.ts";
import { WIRE } from "./cases-wire.ts";
import { nothing } from "./front.ts";
import { type Case, Stage } from "./stage.ts";
import { World } from "./world.ts";

const CASES: readonly Case[] = [...SIGNATURES, ...NAMES, ...TRUST, ...ROOTS, ...WIRE, ...ORDERS, ...ENGINE, ...POLICY];
/** An honest deployment after so many cases. */
const HONEST_EVERY = 8;

const { values } = parseArgs({
  options: { cases: { type: "string", default: String(CASES.length) }, only: { type: "string", default: "" } },
});

process.exitCode = await main();

async function main(): Promise<number> {
  const report = new Report();
  const missing = findMissing();
  if (missing.length > 0) {
    report.skip("attack:swarm", missing.join(", "));
    return report.finish();
  }
  const world = await World.open();
  try {
    await attack(report, world);
  } catch (error) {
    report.fail("the suite itself", error instanceof Error ? (error.stack ?? "") : String(error));
  } finally {
    await world.close();
  }
  return report.finish();
}

async function attack(report: Report, world: World): Promise<void> {
  const chosen = CASES.filter(({ name }) => name.includes(values.only));
  const honest: Stage[] = [];
  const standing = new Stage(world, "standing");
  let strangers = 0;
  for (let count = 0; count < Number(values.cases); count++) {
    const { name, isStanding = false, run } = chosen[count % chosen.length] as Case;
    await report.check(name, () => run(isStanding ? standing : new Stage(world, `c-${count}`)));
    world.front.attack = nothing;
    const found = await world.findStrangers();
    strangers += found.length;
    if (found.length > 0) report.fail(`${name}: something runs that nobody signed`, found.join("\n"));
    if (count % HONEST_EVERY > 0) continue;
    const stage = new Stage(world, `h-${count}`);
    if (await report.check(`honest, after ${count + 1} attacks`, () => deployHonestly(stage))) honest.push(stage);
  }
  await report.check("honest, an update after them all", () => updateHonestly(honest[0]));
  const ran = `${honest.length + 1} honest deployments`;
  console.log(`${values.cases} attacks, ${strangers} services or containers of unsigned images, ${ran}`);
}

async function deployHonestly(stage: Stage): Promise<void> {
  const image = await stage.push("honest", "1");
  await stage.found({ ann: { 1: image } });
  await stage.mustDeploy("1", image);
}

async function updateHonestly(stage: Stage | undefined): Promise<void> {
  if (stage === undefined) throw new Error("nothing was deployed");
  const next = await stage.push("newer", "2");
  await stage.sign({ ann: { 2: next } });
  await stage.mustDeploy("2", next);
}
