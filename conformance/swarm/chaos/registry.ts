import type { Report } from "../../harness/report.ts";
import { until } from "../lab/engine.ts";
import { equal, running } from "../looking.ts";
import type { Havoc } from "./havoc.ts";

/** The registry is away: nothing new is deployed, what runs goes on, also elsewhere; it is back: so are deployments. */
export async function registryAway(havoc: Havoc, report: Report): Promise<void> {
  const { world } = havoc;
  const [old, next] = havoc.standing;
  await havoc.deploy(havoc.spec("away", old.tag, 4));
  await world.stopRegistry();
  await report.check("the registry is away: an honest deployment is refused, and says why", async () => {
    const answer = await havoc.deploy(havoc.spec("away", next.tag, 4));
    equal([answer?.status, answer?.last?.code], [502, "registry"]);
    await havoc.tryUnsigned("away");
    equal(await imagesOf(havoc, "away"), Array(4).fill(old.pinned));
  });
  await report.check(
    "the registry is away and a node is lost: its tasks start elsewhere, by the same digest",
    async () => {
      const [victim] = world.lab.workers;
      await victim?.kill();
      await until("four run", async () => {
        const images = await imagesOf(havoc, "away");
        return images.length === 4 && images.every((image) => image === old.pinned);
      });
      await victim?.start();
      await world.lab.ready();
    },
  );
  await world.startRegistry();
  await report.check("the registry is back: the same order is carried out", async () => {
    await havoc.deploy(havoc.spec("away", next.tag, 4));
    await havoc.mustRun("away", next.pinned, 4);
  });
}

async function imagesOf({ world }: Havoc, service: string): Promise<string[]> {
  return (await running(world, service)).map(({ image }) => image);
}
