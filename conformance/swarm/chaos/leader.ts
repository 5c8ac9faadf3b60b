import type { Report } from "../../harness/report.ts";
import { callEngine, type Loose, listOf, until } from "../lab/engine.ts";
import type { LabNode } from "../lab.ts";
import { equal, journal, running } from "../looking.ts";
import type { World } from "../world.ts";
import { Guards } from "./guards.ts";
import type { Havoc, Released } from "./havoc.ts";

/**
 * Every manager has its authorization plug-in on. The leader of the three, which the bridge asks first, loses its power in the
 * middle of a deployment, and is there again; then its plug-in is down.
 */
export async function leaderLost(havoc: Havoc, report: Report): Promise<void> {
  const { world } = havoc;
  // Nobody imports an image at an engine that asks a plug-in.
  const [first, second] = [await havoc.release(), await havoc.release()];
  const guards = await Guards.post(world);
  try {
    await report.check(
      "every manager asks its plug-in: the bridge deploys and updates, and nobody by hand",
      async () => {
        equal(await world.bridgeGet("/readyz"), { status: 200, text: '{"ready":true,"faults":[]}' });
        for (const { tag, pinned } of havoc.standing) {
          await havoc.deploy(havoc.spec("guarded", tag));
          await havoc.mustRun("guarded", pinned);
        }
        await guards.tryByHand(first.pinned);
      },
    );
    await loseLeader(havoc, report, { first, second });
    await report.check(
      "the manager is back, and has nothing of its own to start; nobody starts it by hand",
      async () => {
        await world.lab.node(world.asked).start();
        await world.lab.ready();
        await havoc.tryUnsigned("led");
        await guards.tryByHand(first.pinned);
      },
    );
    await silence(havoc, report, { guards, first });
  } finally {
    // While it still gets answers.
    await world.stopBridge();
    await guards.dismiss();
  }
}

interface Images {
  readonly first: Released;
  readonly second: Released;
}

async function loseLeader(havoc: Havoc, report: Report, { first, second }: Images): Promise<void> {
  const { world } = havoc;
  await report.check("the leader's power is cut while a service is deployed: another manager finishes it", async () => {
    await askLeader(world);
    const answered = havoc.deploy(havoc.spec("led", first.tag, 6));
    await until("it is begun", () => journal(world).some((line) => line.event === "intent" && line.service === "led"));
    await world.lab.node(world.asked).kill();
    const answer = await answered;
    await until("there is another leader", async () => (await findLeader(world.lab.manager())) !== world.asked, 90);
    const own = journal(world).filter((line) => line.service === "led");
    const told = () => `${JSON.stringify(answer?.lines)}\n${JSON.stringify(own)}`;
    await until("six run, by their digest", () => areAll(havoc, first.pinned, 6), 90).catch((cause: unknown) => {
      throw new Error(told(), { cause });
    });
    await havoc.mustRun("led", first.pinned, 6);
    equal(answer?.last, { outcome: { kind: "deployed", pinned: first.pinned } });
  });
  await report.check("with one manager less, an honest deployment is carried out and another refused", async () => {
    await havoc.deploy(havoc.spec("led", second.tag, 6));
    await havoc.mustRun("led", second.pinned, 6);
    await havoc.tryUnsigned("led");
  });
}

interface Silenced {
  readonly guards: Guards;
  readonly first: Released;
}

async function silence(havoc: Havoc, report: Report, { guards, first }: Silenced): Promise<void> {
  const { world } = havoc;
  const silenced = world.lab.node(world.asked);
  await report.check(
    "a manager's plug-in is down: its engine denies all, the bridge goes on over the others",
    async () => {
      await world.stopBridge();
      await world.startBridge();
      await guards.of(silenced).stop();
      const sly = { Name: "sly", TaskTemplate: { ContainerSpec: { Image: first.pinned } } };
      const asked = callEngine(silenced.socketPath, "POST", "/services/create", sly);
      const answer = await havoc.deploy(havoc.spec("led", first.tag, 6));
      equal(answer?.last, { outcome: { kind: "deployed", pinned: first.pinned } });
      const { status, body } = await asked;
      const { message } = body as Loose;
      if (status !== 500 || !String(message).startsWith("plugin goldseal failed"))
        throw new Error(`${status} ${message}`);
    },
  );
  await report.check("it is up again: all is as it was ordered", async () => {
    await guards.of(silenced).start();
    await havoc.mustRun("led", first.pinned, 6);
    await guards.tryByHand(first.pinned);
  });
}

async function areAll({ world }: Havoc, pinned: string, count: number): Promise<boolean> {
  const images = (await running(world, "led")).map(({ image }) => image);
  return images.length === count && images.every((image) => image === pinned);
}

/** The bridge begins with the leader: m1, unless a machine as busy as that lost the office meanwhile. */
async function askLeader(world: World): Promise<void> {
  const leader = await findLeader(world.lab.manager());
  if (leader === world.asked) return;
  world.asked = leader;
  await world.stopBridge();
  await world.startBridge();
}

/** The hostname of the leader. */
async function findLeader(asked: LabNode): Promise<string> {
  const nodes = await listOf(asked.socketPath, "/nodes");
  const leader = nodes.find(({ ManagerStatus }) => (ManagerStatus as Loose | undefined)?.Leader === true);
  if (leader === undefined) throw new Error("there is no leader");
  return String((leader.Description as Loose).Hostname);
}
