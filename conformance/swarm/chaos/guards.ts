import { join } from "node:path";
import { getTool, run } from "../../harness/tools.ts";
import { callEngine, type Loose, until } from "../lab/engine.ts";
import type { LabNode } from "../lab.ts";
import { equal } from "../looking.ts";
import { DENIED, makeAllowKey, PlugInProcess } from "../plug-in-process.ts";
import type { World } from "../world.ts";

/** The managers' authorization plug-ins, one beside each engine, which outlive its power cuts. */
export class Guards {
  readonly #world: World;
  readonly #plugIns: ReadonlyMap<LabNode, PlugInProcess>;

  private constructor(world: World, plugIns: ReadonlyMap<LabNode, PlugInProcess>) {
    [this.#world, this.#plugIns] = [world, plugIns];
  }

  /** Every manager asks its own from now on, and the bridge writes notes for them: as docs/bridge.md tells operators. */
  static async post(world: World): Promise<Guards> {
    const { own, shared } = makeAllowKey(world.folder);
    const { managers } = world.lab;
    const toEntry = (node: LabNode) => [node, new PlugInProcess(join(node.plugins, "goldseal.sock"), shared)] as const;
    const guards = new Guards(world, new Map(managers.map(toEntry)));
    await Promise.all([...guards.#plugIns.values()].map((plugIn) => plugIn.start()));
    await world.stopBridge();
    for (const node of managers) node.configure({ "authorization-plugins": ["goldseal"] });
    await Promise.all(managers.map((node) => until(`${node.name} asks its plug-in`, () => asksItsPlugIn(node))));
    world.allowKey = own;
    await world.startBridge();
    return guards;
  }

  async dismiss(): Promise<void> {
    await Promise.all([...this.#plugIns.values()].map((plugIn) => plugIn.stop()));
  }

  of(node: LabNode): PlugInProcess {
    const found = this.#plugIns.get(node);
    if (found === undefined) throw new Error(`${node.name} has no plug-in`);
    return found;
  }

  /** By hand, with docker's own client, at every manager that is there. */
  async tryByHand(image: string): Promise<void> {
    const env = { DOCKER_CONFIG: join(this.#world.folder, "docker") };
    for (const node of this.#world.lab.managers.filter(({ isRunning }) => isRunning)) {
      const args = ["service", "create", "--detach", "--name", "sly", image];
      const options = { env, timeoutSeconds: 30 };
      const { status, stderr } = await run(getTool("docker-20.10"), ["--host", node.socket, ...args], options);
      if (status === 0 || !stderr.includes(DENIED)) throw new Error(`${node.name}: it exited ${status}: ${stderr}`);
    }
    equal((await this.#world.services()).sly, undefined);
  }
}

async function asksItsPlugIn({ socketPath }: LabNode): Promise<boolean> {
  const { status, body } = await callEngine(socketPath, "POST", "/containers/create", {});
  return status === 403 && String((body as Loose).message).startsWith(DENIED);
}
