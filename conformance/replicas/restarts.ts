/** Replicas come and go under load: one after the other in order, then by surprise. */
import type { Report } from "../harness/report.ts";
import { same } from "./image.ts";
import { checkAll, type Load, startLoad } from "./load.ts";
import { until } from "./nginx.ts";
import type { World } from "./world.ts";

const LOAD = { pushers: 6, pullers: 3 };
/** Images pushed between one restart and the next. */
const BETWEEN = 20;

export async function checkRestarts(report: Report, world: World): Promise<void> {
  await report.check("a rolling restart fails no push and no pull", () => rollingRestart(world));
  await report.check("replicas killed under load lose nothing that was acknowledged", () => killUnderLoad(world));
}

/** As the README says: take it out of nginx, tell it to end, start it, put it back. */
async function rollingRestart(world: World): Promise<void> {
  const { nginx, replicas, client } = world;
  const load = startLoad(nginx, LOAD);
  try {
    for (const replica of replicas) {
      await morePushes(load);
      await nginx.route(replicas.filter((other) => other !== replica).map(({ port }) => port));
      same("exit status", await replica.stop(), 0);
      await replica.start();
      await nginx.route(replicas.map(({ port }) => port));
    }
    await morePushes(load);
  } finally {
    await load.stop();
  }
  if (load.errors.length > 0) throw new Error(`${load.errors.length} failed:\n${load.errors.slice(0, 5).join("\n")}`);
  await checkAll(client, load);
  console.log(`        ${load.pushed.length} pushes, ${load.pulls()} pulls`);
}

async function killUnderLoad(world: World): Promise<void> {
  const { nginx, replicas, client } = world;
  const load = startLoad(nginx, LOAD);
  try {
    for (const replica of replicas) {
      await morePushes(load);
      await replica.kill();
      await morePushes(load);
      await replica.start();
    }
  } finally {
    await load.stop();
  }
  await checkAll(client, load);
  console.log(`        ${load.pushed.length} acknowledged, ${load.errors.length} requests failed on the killed`);
}

export async function morePushes({ pushed }: Load, count = BETWEEN): Promise<void> {
  const goal = pushed.length + count;
  await until(() => pushed.length >= goal, 60_000);
}
