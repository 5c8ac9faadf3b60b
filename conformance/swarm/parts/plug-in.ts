/** The manager's authorization plug-in is on: the bridge does all it does, nobody else does anything, and it fails closed. */
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import type { Report } from "../../harness/report.ts";
import { getTool, run } from "../../harness/tools.ts";
import { callEngine, until } from "../lab/engine.ts";
import { equal, running } from "../looking.ts";
import { DENIED, makeAllowKey, PlugInProcess } from "../plug-in-process.ts";
import type { World } from "../world.ts";
import { RUNS } from "./deploying.ts";

export async function plugIn(world: World, report: Report): Promise<void> {
  const manager = world.lab.node("m1");
  const socket = join(manager.plugins, "goldseal.sock");
  const key = makeAllowKey(world.folder);
  const plugIn = new PlugInProcess(socket, key.shared);
  const [one, two] = [await world.push("p1", `echo p1; ${RUNS}`), await world.push("p2", `echo p2; ${RUNS}`)];
  for (const tag of ["p1", "p2"]) await world.sign(tag);
  await world.push("pbad", "exit 3");
  await world.sign("pbad");
  await world.stopBridge();
  world.allowKey = key.own;
  await Promise.all([manager.stop(), plugIn.start()]);
  await manager.start("--authorization-plugin=goldseal");
  await world.lab.ready();
  await world.startBridge();
  try {
    await checkBridge(report, world, { one, two });
    await checkOthers(report, world);
    await checkFaults(report, world, { plugIn, socket, one });
  } finally {
    await plugIn.stop();
    await world.stopBridge();
    await manager.stop();
    rmSync(socket, { force: true });
    await manager.start();
    await world.lab.ready();
    world.allowKey = undefined;
    await world.startBridge();
  }
}

const spec = (image: string, more: object = {}): object => ({
  name: "guarded",
  image,
  replicas: 2,
  update: { monitor: "1s" },
  ...more,
});

async function checkBridge(report: Report, world: World, { one, two }: { one: string; two: string }): Promise<void> {
  await report.check("plug-in: the bridge is ready", async () =>
    equal(await world.bridgeGet("/readyz"), { status: 200, text: '{"ready":true,"faults":[]}' }),
  );
  await report.check("plug-in: the bridge deploys, updates, and rolls back what fails", async () => {
    const images = async (): Promise<string[]> => (await running(world, "guarded")).map(({ image }) => image);
    for (const [tag, digest] of [["p1", one] as const, ["p2", two] as const]) {
      const { last } = await world.deploy(spec(world.image(tag)));
      equal(last, { outcome: { kind: "deployed", pinned: world.pin(digest) } });
      equal(await images(), [world.pin(digest), world.pin(digest)]);
    }
    const { last } = await world.deploy(spec(world.image("pbad")));
    const { outcome } = last as { outcome: { kind: string; rolledBackTo?: string } };
    equal([outcome.kind, outcome.rolledBackTo], ["failed", world.pin(two)]);
    equal(await images(), [world.pin(two), world.pin(two)]);
  });
}

/** Docker's own client at the manager's socket. */
async function checkOthers(report: Report, world: World): Promise<void> {
  const docker = (...args: readonly string[]) =>
    run(getTool("docker-20.10"), ["--host", world.lab.node("m1").socket, ...args], {
      env: { DOCKER_CONFIG: join(world.folder, "docker") },
      timeoutSeconds: 30,
    });
  const image = world.image("p1");
  const denied: readonly (readonly string[])[] = [
    ["service", "create", "--detach", "--name", "sly", image],
    ["service", "update", "--detach", "--env-add", "A=1", "guarded"],
    ["service", "rollback", "--detach", "guarded"],
    ["service", "scale", "--detach", "guarded=3"],
    ["service", "rm", "guarded"],
    ["run", "--rm", image],
    ["pull", image],
    ["network", "create", "--driver", "overlay", "sly"],
    ["node", "update", "--availability", "drain", "w1"],
    ["swarm", "join-token", "manager"],
    ["volume", "create", "sly"],
  ];
  for (const args of denied) {
    await report.check(`plug-in: denied: docker ${args.filter((arg) => arg !== image).join(" ")}`, async () => {
      const { status, stderr } = await docker(...args);
      if (status === 0 || !stderr.includes(DENIED)) throw new Error(`it exited ${status}: ${stderr}`);
    });
  }
  await report.check("plug-in: whoever looks may look", async () => {
    for (const args of [
      ["ps"],
      ["service", "ls"],
      ["service", "ps", "guarded"],
      ["node", "ls"],
      ["info"],
      ["images"],
    ]) {
      const { status, stderr } = await docker(...args);
      if (status !== 0) throw new Error(`docker ${args.join(" ")} exited ${status}: ${stderr}`);
    }
  });
}

interface Faulty {
  readonly plugIn: PlugInProcess;
  readonly socket: string;
  readonly one: string;
}

async function checkFaults(report: Report, world: World, { plugIn, socket, one }: Faulty): Promise<void> {
  const engine = world.lab.node("m1").socketPath;
  const sly = { Name: "sly", TaskTemplate: { ContainerSpec: { Image: world.pin(one) } } };
  await report.check(
    "plug-in stopped in the middle: nothing passes until it goes on, and then only what the bridge says",
    async () => {
      plugIn.signal("SIGSTOP");
      const asked = callEngine(engine, "POST", "/services/create", sly);
      const waiting = await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, 2000, "waits"))]);
      plugIn.signal("SIGCONT");
      equal(waiting, "waits");
      equal((await asked).status, 403);
    },
  );
  await plugIn.stop();
  for (const garbage of ["{", "{}", '{"Allow":"yes"}', ""]) {
    await report.check(`plug-in that answers ${garbage || "nothing"}: denied, not passed`, async () => {
      rmSync(socket, { force: true });
      const server = createServer((request, response) => {
        request.resume();
        response.end(request.url === "/Plugin.Activate" ? '{"Implements":["authz"]}' : garbage);
      }).listen(socket);
      await once(server, "listening");
      const { status } = await callEngine(engine, "POST", "/services/create", sly);
      server.close();
      server.closeAllConnections();
      if (status < 400) throw new Error(`it was answered ${status}`);
    });
  }
  await report.check("plug-in down: denied after the engine's patience, by the bridge too", async () => {
    rmSync(socket, { force: true });
    const [{ status }, { last }] = await Promise.all([
      callEngine(engine, "POST", "/services/create", sly),
      world.deploy(spec(world.image("p1"), { name: "late" })),
    ]);
    if (status < 400) throw new Error(`it was answered ${status}`);
    if (!/plugin|no connection|aborted/.test(JSON.stringify(last))) throw new Error(JSON.stringify(last));
  });
  await plugIn.start();
  await report.check("plug-in up again: nothing came of all that, and the bridge goes on", async () => {
    await until("the engine answers", async () => (await callEngine(engine, "GET", "/_ping")).status === 200);
    const { last } = await world.deploy(spec(world.image("p1")));
    equal(last, { outcome: { kind: "deployed", pinned: world.pin(one) } });
    const names = Object.keys(await world.services());
    equal(
      names.filter((name) => name === "sly" || name === "late"),
      [],
    );
  });
}
