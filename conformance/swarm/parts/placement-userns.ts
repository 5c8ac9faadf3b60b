/** Only nodes whose own engine maps users, where the environment asks for it: w2's is begun anew for a while, as such a node. */
import { chmodSync } from "node:fs";
import type { Report } from "../../harness/report.ts";
import { askEngine, type Loose, listOf, until } from "../lab/engine.ts";
import { equal, QUICK } from "../looking.ts";
import type { World } from "../world.ts";
import { refusalOf, remove, tasksOf } from "./placing.ts";

export async function checkUserns(report: Report, world: World): Promise<void> {
  await world.setPolicy({}, { mapped: { placement: { usernsOnly: true } } });
  const own = { name: "mapped", image: world.image("1"), replicas: 2, update: QUICK };
  await report.check("user namespaces: refused while no engine says that it maps users", async () => {
    // What a node says of itself to the managers is nothing.
    await world.docker("node", "update", "--label-add", "goldseal.userns=on", "w1");
    const reason = "mapped can run nowhere: of m1, w1, w2 no engine says that it maps users (usernsOnly)";
    equal(refusalOf(await world.deploy(own, "mapped")), [409, "placement", reason]);
  });
  const old = await nodeId(world, "w2");
  await report.check("user namespaces: tasks run where the node's own engine says so, and nowhere else", async () => {
    await rejoin(world);
    const { last } = await world.deploy(own, "mapped");
    equal((last as { outcome?: Loose }).outcome?.kind, "deployed");
    equal(await tasksOf(world, "mapped"), { w2: 2 });
    const nodes = await listOf(world.lab.manager().socketPath, "/nodes");
    const labelled = nodes.filter(({ Spec }) => (Spec as { Labels: Loose }).Labels["goldseal.userns"] === "on");
    equal(
      labelled.map(({ Description }) => (Description as Loose).Hostname),
      ["w2"],
    );
    await remove(world, ["mapped"], "mapped");
  });
  await comeBack(world, old);
}

/** With user namespaces an engine has another folder, and so is another node: the one of before is down meanwhile. */
async function rejoin({ lab }: World): Promise<void> {
  const node = lab.node("w2");
  // The users of containers are nobody on this machine, and go through this folder.
  chmodSync(lab.folder, 0o711);
  await node.stop();
  await node.start("--userns-remap=dockremap");
  const manager = lab.manager();
  const { JoinTokens } = (await askEngine(manager.socketPath, "GET", "/swarm")) as { JoinTokens: { Worker: string } };
  await askEngine(node.socketPath, "POST", "/swarm/join", {
    ...{ ListenAddr: "0.0.0.0:2377", AdvertiseAddr: node.ip },
    ...{ RemoteAddrs: [`${manager.ip}:2377`], JoinToken: JoinTokens.Worker },
  });
  await until(
    "w2 is there as another node",
    async () => (await readyNamed(lab.manager().socketPath, "w2")).length === 1,
  );
}

async function comeBack({ lab }: World, old: string): Promise<void> {
  const [node, socket] = [lab.node("w2"), lab.manager().socketPath];
  const others = (await readyNamed(socket, "w2")).filter(({ ID }) => ID !== old);
  await node.stop();
  for (const { ID } of others) await askEngine(socket, "DELETE", `/nodes/${ID}?force=true`);
  await node.start();
  await lab.ready();
}

async function readyNamed(socket: string, hostname: string): Promise<Loose[]> {
  const nodes = await listOf(socket, "/nodes");
  return nodes.filter(
    ({ Description, Status }) => (Description as Loose).Hostname === hostname && (Status as Loose).State === "ready",
  );
}

async function nodeId({ lab }: World, hostname: string): Promise<string> {
  const [found] = await readyNamed(lab.manager().socketPath, hostname);
  return String(found?.ID);
}
