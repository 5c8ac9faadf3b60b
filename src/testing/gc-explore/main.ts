/**
 * What `npm run gc:explore` runs: `--schedules N --seconds N --seed S [--s3 minio|versitygw]`, whichever of the first two
 * is reached first. The first schedule that breaks something ends it, with its steps.
 */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { isS3Kind } from "../../../conformance/harness/s3-servers.ts";
import { runSchedule } from "./schedule.ts";
import type { Figures } from "./stage.ts";
import { World } from "./world.ts";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "5000" },
    seconds: { type: "string", default: "100000" },
    seed: { type: "string", default: randomBytes(4).toString("hex") },
    /** One schedule alone, by the name that a failure printed. */
    only: { type: "string" },
    s3: { type: "string" },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  console.log(`gc:explore: seed ${values.seed}`);
  const figures: Figures = { steps: 0, crashes: 0, points: new Map() };
  if (values.s3 !== undefined && !isS3Kind(values.s3)) throw new Error(`--s3 ${values.s3}: no such server`);
  const world = await World.open(values.s3);
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  let done = 0;
  let failure: unknown;
  try {
    for (; done < Number(values.schedules) && seconds() < Number(values.seconds); done++) {
      await runSchedule(world, values.only ?? `${values.seed}-${done}`, figures);
      if (values.only !== undefined) break;
    }
  } catch (error) {
    failure = error;
    console.log(`VIOLATION ${error instanceof Error ? error.message : error}`);
  }
  await world.close();
  const points = [...figures.points].map(([point, count]) => `${point} ${count}`).sort();
  console.log(`stood at: ${points.join(", ")}`);
  const result = failure === undefined ? "0 broken" : `BROKEN, repeat with --seed ${values.seed}`;
  console.log(
    `${done} schedules, ${figures.steps} steps, ${figures.crashes} crashes in ${seconds().toFixed(0)} s: ${result}`,
  );
  // Whoever died in a schedule keeps its promises open.
  setImmediate(() => process.exit());
  return failure === undefined ? 0 : 1;
}
