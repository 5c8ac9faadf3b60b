import { checkAll, checkConverged } from "./check.ts";
import { Pusher } from "./pusher.ts";
import { Random } from "./random.ts";
import { Actor, type Figures } from "./stage.ts";
import { type Parts, PUSHERS, type World } from "./world.ts";

const COLLECTIONS = 3;
const REQUESTS_EACH = 4;
const CRASH_CHANCE = 0.01;

/**
 * One order of steps, decided by its seed: two pushers and a collector, each going on from one failpoint to the next when
 * it is its turn; now and then one of them dies where it stands. Then everything is looked at.
 * @throws Error with every step, when something acknowledged is broken
 */
export async function runSchedule(world: World, seed: string, figures: Figures): Promise<void> {
  const random = new Random(seed);
  world.failpoints.clear();
  world.storage.calm();
  await world.reset();
  const blobs = [0, 1, 2].map((index) => world.add(`blob ${index} of ${seed}`));
  const pushers = PUSHERS.map((name) => new Pusher(name, world, random, blobs));
  const actors = pushers.map(
    (pusher) => new Actor(pusher.name, world, { figures, count: REQUESTS_EACH, next: () => pusher.next() }),
  );
  const next = () => {
    const isQuiet = actors.every(({ isBusy }) => !isBusy);
    return { what: "collection", act: (parts: Parts) => collect(world, parts, isQuiet) };
  };
  actors.push(new Actor("collector", world, { figures, count: COLLECTIONS, next }));
  const steps: string[] = [];
  world.storage.upset(random);
  try {
    await play(actors, random, steps);
    world.failpoints.clear();
    world.storage.calm();
    await checkAll(world, pushers);
    await checkConverged(world, pushers);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`${why}\nschedule ${seed}:\n  ${steps.join("\n  ")}`, { cause: error });
  }
}

async function collect({ storage }: World, { collector }: Parts, isQuiet: boolean): Promise<void> {
  if (isQuiet) await storage.timePasses();
  await collector.run({ dryRun: false });
}

async function play(actors: readonly Actor[], random: Random, steps: string[]): Promise<void> {
  for (;;) {
    const ready = actors.filter(({ isReady }) => isReady);
    const busy = actors.filter(({ isBusy }) => isBusy);
    if (ready.length === 0 && busy.length === 0) return;
    if (ready.length === 0) {
      await Promise.race(busy.map(({ changed }) => changed));
      for (const actor of busy) actor.throwFailure();
      continue;
    }
    const actor = random.pick(ready);
    if (actor.isParked && random.chance(CRASH_CHANCE)) {
      steps.push(`${actor}, and dies`);
      await actor.die();
    } else {
      await actor.step();
      steps.push(String(actor));
    }
  }
}
