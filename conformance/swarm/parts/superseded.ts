/**
 * What was `gold` and is not any more: QA signs each release in `proof/app`, and a promotion says which of them is `live/app:gold`.
 * What runs stays trusted when gold goes on, and is rolled back to; until whoever signed it takes it back.
 */
import type { Report } from "../../harness/report.ts";
import { type Loose, until } from "../lab/engine.ts";
import { equal, journal, type Part, running } from "../looking.ts";
import type { World } from "../world.ts";
import { kindOf, RUNS } from "./deploying.ts";

const [PROOF, LIVE] = ["proof/app", "live/app"] as const;
const NAME = "superseded";
const ENVIRONMENT = "gold-moves";
const REASON = "no tag is this image any more: gold is another one now";

export const superseded: Part = async (world, report) => {
  const one = await prepare(world);
  await report.check("gold runs by its digest, and is trusted", async () => {
    equal((await deploy(world, world.image("gold", LIVE))).last, deployed(world, one));
    await until("it is trusted", async () => (await judged(world)).join() === "trusted,");
  });
  await release(world, "2", "exit 3");
  await report.check("gold is promoted to another image: what runs stays trusted, and nobody is alarmed", async () => {
    await until("it is said", async () => (await judged(world)).join() === `trusted,${REASON}`);
    equal((await world.bridgeGet("/readyz")).status, 200);
    equal(alarms(world), []);
  });
  await checkOrders(world, report, one);
  await report.check("the newer gold does not come up: rolled back to what gold was, by its digest", async () => {
    const { last } = await deploy(world, world.image("gold", LIVE));
    equal(kindOf(last), ["failed", world.pin(one, LIVE)]);
    equal(await images(world), [world.pin(one, LIVE), world.pin(one, LIVE)]);
    equal(alarms(world), []);
  });
  await report.check(
    "its signature is taken back where it was signed: trust is lost, and no gold stands in for it",
    async () => {
      await world.goldseal("trust", "revoke", world.image("1", PROOF));
      await until("it is seen", () => alarms(world).includes("trust-lost"));
      equal((await world.bridgeGet("/metrics")).text.includes('goldseal_bridge_services{state="trust-lost"} 1'), true);
      const { last } = await world.change("service.rollback", { name: NAME }, ENVIRONMENT);
      equal([last?.code, (await world.services())[NAME]], ["unsigned", world.pin(one, LIVE)]);
    },
  );
  await world.change("service.remove", { name: NAME }, ENVIRONMENT);
};

/** Its digest, and not its tag, is what is ordered. */
async function checkOrders(world: World, report: Report, one: string): Promise<void> {
  const pinned = world.pin(one, LIVE);
  await report.check(
    "what was gold is ordered by its digest: changed where it runs, and refused where it never ran",
    async () => {
      equal((await deploy(world, pinned, { env: { COLOUR: "blue" } })).last, deployed(world, one));
      const { status, last } = await deploy(world, pinned, { name: "superseded-new" });
      equal([status, last?.code], [403, "unsigned"]);
    },
  );
}

async function prepare(world: World): Promise<string> {
  for (const org of ["proof", "live"]) await world.found(org);
  const digest = await world.push("1", `echo 1; ${RUNS}`, PROOF);
  await world.goldseal("trust", "init", `${world.server.host}/${PROOF}`);
  await world.sign("1", PROOF);
  await world.goldseal("promote", `${PROOF}:1`, `${LIVE}:gold`);
  world.pinAlso(PROOF, LIVE);
  const require = [{ team: "qa", k: 1, gun: "proof/{name}" }];
  await world.setPolicy({}, { [ENVIRONMENT]: { images: ["live/*"], require } });
  await world.stopBridge();
  await world.startBridge();
  return digest;
}

async function release(world: World, tag: string, command: string): Promise<void> {
  await world.push(tag, command, PROOF);
  await world.sign(tag, PROOF);
  await world.goldseal("promote", `${PROOF}:${tag}`, `${LIVE}:gold`);
}

const deploy = (world: World, image: string, more: object = {}) =>
  world.deploy({ name: NAME, image, replicas: 2, update: { parallelism: 2, monitor: "2s" }, ...more }, ENVIRONMENT);

const deployed = (world: World, digest: string) => ({
  outcome: { kind: "deployed", pinned: world.pin(digest, LIVE) },
});

/** State and reason, as the watch has them. */
async function judged(world: World): Promise<unknown[]> {
  const { status, text } = await world.view(`services/${NAME}`);
  if (status !== 200) return [status];
  const { state, reason } = JSON.parse(text) as Loose;
  return [state, reason];
}

/** What was said of the service since it was made. */
const alarms = (world: World): unknown[] =>
  journal(world).flatMap(({ event, what, name, state }) =>
    event === "seen" && what === "service" && name === NAME ? [state] : [],
  );

const images = async (world: World): Promise<string[]> => (await running(world, NAME)).map(({ image }) => image);
