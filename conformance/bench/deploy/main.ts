import { writeFileSync } from "node:fs";
import { findMissing } from "../../swarm/lab.ts";
import { prepare } from "../../swarm/parts/deploying.ts";
import { World } from "../../swarm/world.ts";
import { median, type Pace } from "../measure.ts";
import { type Interval, intervalOf, percentOf, takeTurns } from "../paired.ts";
import { figure } from "../table.ts";
import { conclude } from "../targets.ts";
import { type Ways, waysOf } from "./ways.ts";

/** How much longer than docker it may take until the task runs. */
const maxSurcharge = 0.2;
/** Of each way, in a round. */
const TURNS = 8;
const WARM_TURNS = 2;

interface Result {
  /** ms from the command to the running task, the middle of all turns. */
  readonly goldsealMs: number;
  readonly dockerMs: number;
  /** How much longer the one took, of the middles of each round's pairs. */
  readonly surcharge: Interval;
  readonly rounds: readonly number[];
}

export interface DeployOptions {
  readonly pace: Pace;
  readonly jsonFile: string | undefined;
}

/**
 * From the command to the running task on a node that has the image: `goldseal deploy` (its order goes through the registry to
 * the bridge, which verifies everything anew) and `docker service create` by the same digest, by turns, on one Swarm.
 */
export async function deployBench({ pace, jsonFile }: DeployOptions): Promise<number> {
  const missing = findMissing();
  if (missing.length > 0) {
    console.error(`${missing.join(", ")}: conformance/provision, as root`);
    return 2;
  }
  const world = await World.open({ managers: 1, workers: 0 });
  try {
    const ways = waysOf(world, await prepare(world));
    const result = await measure(ways, pace.rounds);
    if (jsonFile) writeFileSync(jsonFile, `${JSON.stringify({ pace, result }, null, 2)}\n`);
    const isMet = result.surcharge.middle < maxSurcharge;
    console.log(
      `${isMet ? "reached" : "MISSED "} goldseal deploy takes < ${maxSurcharge * 100} % longer than docker service create by digest`,
    );
    return conclude([{ met: isMet }]);
  } finally {
    await world.close();
  }
}

async function measure({ goldseal, docker }: Ways, rounds: number): Promise<Result> {
  await takeTurns(WARM_TURNS, [goldseal, docker]);
  const pairs: (readonly [number, number])[] = [];
  const middles: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const turns = await takeTurns(TURNS, [goldseal, docker]);
    pairs.push(...turns);
    middles.push(median(turns.map(([one, other]) => one / other - 1)) ?? 0);
  }
  const result = {
    goldsealMs: median(pairs.map(([one]) => one)) ?? 0,
    dockerMs: median(pairs.map(([, other]) => other)) ?? 0,
    surcharge: intervalOf(middles),
    rounds: middles,
  };
  const each = middles.map((middle) => (middle * 100).toFixed(1)).join(" ");
  console.log(
    `until a task runs: goldseal deploy ${figure(result.goldsealMs)} ms, docker service create ${figure(result.dockerMs)} ms: ${percentOf(result.surcharge)} longer; rounds ${each}`,
  );
  return result;
}
