import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { projectRoot } from "../../harness/server.ts";
import { until } from "../lab/engine.ts";
import { equal, journal } from "../looking.ts";
import type { Havoc, Released } from "./havoc.ts";

/** A service is made, and another one changed, while the bridge dies at each point: the next bridge finishes, or knows of nothing. */
export async function killedEverywhere(havoc: Havoc, report: Report): Promise<void> {
  const [one, two] = havoc.standing;
  await report.check("before anything goes wrong, an honest service runs", async () => {
    await havoc.deploy(havoc.spec("steady", one.tag));
    await havoc.mustRun("steady", one.pinned);
  });
  for (const [at, point] of failpoints().entries()) {
    const next = at % 2 === 0 ? two : one;
    await report.check(`killed at ${point}, a new service`, () =>
      killedAt(havoc, point, { service: point.replace(".", "-").toLowerCase(), ...next }),
    );
    await report.check(`killed at ${point}, an update`, () => killedAt(havoc, point, { service: "steady", ...next }));
  }
}

interface Order extends Released {
  readonly service: string;
}

/** What nobody signed is ordered of the same service as soon as the next bridge is there. */
async function killedAt(havoc: Havoc, point: string, { service, tag, pinned }: Order): Promise<void> {
  const { world } = havoc;
  await world.stopBridge("SIGKILL");
  await world.startBridge({ GOLDSEAL_FAILPOINT: `${point}:1` });
  const intents = () => journal(world).filter((line) => line.event === "intent" && line.service === service);
  const before = intents().length;
  const answer = await havoc.deploy(havoc.spec(service, tag));
  if (answer !== undefined) throw new Error(`it was not killed: ${JSON.stringify(answer)}`);
  await world.startBridge();
  await havoc.tryUnsigned(service);
  if (intents().length === before) await havoc.deploy(havoc.spec(service, tag));
  const { id } = intents().at(-1) ?? {};
  await until("it converged", () => journal(world).some((line) => line.event === "converged" && line.id === id));
  await havoc.mustRun(service, pinned);
  equal(intents().length, before + 1);
}

/** As the bridge's own list has them: one that is new there is killed at here. A stack's own are of parts/stacks.ts. */
function failpoints(): string[] {
  const text = readFileSync(join(projectRoot, "src", "cluster-bridge", "failpoint.ts"), "utf8");
  const found = [...text.matchAll(/\| "(bridge\.\w+)"/g)].map(([, name]) => name ?? "");
  if (found.length < 4) throw new Error(`failpoint.ts names ${found.join(", ")}`);
  return found.filter((name) => !name.startsWith("bridge.afterStack"));
}
