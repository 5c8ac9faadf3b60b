import type { Report } from "../../harness/report.ts";
import { type Loose, listOf, until } from "../lab/engine.ts";
import type { LabNode } from "../lab.ts";
import { equal, journal, running } from "../looking.ts";
import type { Havoc } from "./havoc.ts";

/** The leader of three managers, which is the bridge's own engine, loses its power in the middle of a deployment. */
export async function leaderLost(havoc: Havoc, report: Report): Promise<void> {
  const { world } = havoc;
  const { tag, pinned } = await havoc.release();
  const leader = await findLeader(world.lab.manager());
  const first = world.lab.node(leader);
  equal(leader, "m1");
  await report.check("the leader's power is cut while a service is deployed: another manager finishes it", async () => {
    const answered = havoc.deploy(havoc.spec("led", tag, 6));
    await until("it is begun", () => journal(world).some((line) => line.event === "intent" && line.service === "led"));
    await first.kill();
    const answer = await answered;
    await until("there is another leader", async () => (await findLeader(world.lab.manager())) !== "m1", 90);
    const own = journal(world).filter((line) => line.service === "led");
    const told = () => `${JSON.stringify(answer?.lines)}\n${JSON.stringify(own)}`;
    await until("six run, by their digest", () => areAll(havoc, pinned, 6), 90).catch((cause: unknown) => {
      throw new Error(told(), { cause });
    });
    await havoc.mustRun("led", pinned, 6);
    equal(answer?.last, { outcome: { kind: "deployed", pinned } });
  });
  await report.check("with one manager less, an honest deployment is carried out and another refused", async () => {
    const next = await havoc.release();
    await havoc.deploy(havoc.spec("led", next.tag, 6));
    await havoc.mustRun("led", next.pinned, 6);
    await havoc.tryUnsigned("led");
  });
  await report.check("the manager is back, and has nothing of its own to start", async () => {
    await first.start();
    await world.lab.ready();
    await havoc.tryUnsigned("led");
  });
}

async function areAll({ world }: Havoc, pinned: string, count: number): Promise<boolean> {
  const images = (await running(world, "led")).map(({ image }) => image);
  return images.length === count && images.every((image) => image === pinned);
}

/** The hostname of the leader. */
async function findLeader(asked: LabNode): Promise<string> {
  const nodes = await listOf(asked.socketPath, "/nodes");
  const leader = nodes.find(({ ManagerStatus }) => (ManagerStatus as Loose | undefined)?.Leader === true);
  if (leader === undefined) throw new Error("there is no leader");
  return String((leader.Description as Loose).Hostname);
}
