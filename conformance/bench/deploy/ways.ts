/** Two ways to one running task. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { askEngine, type Loose, listOf, until } from "../../swarm/lab/engine.ts";
import { filters } from "../../swarm/looking.ts";
import type { World } from "../../swarm/world.ts";

/** Each makes a service of one task and removes it again. ms from the command's start until the engine says that the task ran. */
export interface Ways {
  readonly goldseal: () => Promise<number>;
  readonly docker: () => Promise<number>;
}

/** @param digest signed, and on the node already once one of them was taken */
export function waysOf(world: World, digest: string): Ways {
  let count = 0;
  const timed = async (command: (name: string) => Promise<unknown>): Promise<number> => {
    const name = `bench-${++count}`;
    const began = Date.now();
    await command(name);
    const ran = await until(`${name} runs`, () => ranAt(world, name));
    await remove(world, name);
    return ran - began;
  };
  return {
    // It goes on to watch that the task stays, which is not counted: by the task's own time.
    goldseal: () =>
      timed((name) => {
        const file = join(world.folder, "service.json");
        writeFileSync(file, JSON.stringify({ name, image: world.pin(digest), update: { monitor: "250ms" } }));
        return world.operate("prod", "deploy", "--file", file);
      }),
    docker: () =>
      timed((name) => world.docker("service", "create", "--quiet", "--detach", "--name", name, world.pin(digest))),
  };
}

/** By the clock of this machine, which the engine shares. */
async function ranAt({ lab }: World, name: string): Promise<number | undefined> {
  const [task] = await listOf(lab.manager().socketPath, `/tasks?filters=${filters({ service: [name] })}`);
  const { State, Timestamp } = (task?.Status ?? {}) as Loose;
  return State === "running" ? Date.parse(String(Timestamp)) : undefined;
}

/** Resolves when its container is gone too: it would slow the next one down. */
async function remove({ lab }: World, name: string): Promise<void> {
  const { socketPath } = lab.manager();
  await askEngine(socketPath, "DELETE", `/services/${name}`);
  const label = `com.docker.swarm.service.name=${name}`;
  await until(`${name} is gone`, async () => {
    const found = await listOf(socketPath, `/containers/json?all=1&filters=${filters({ label: [label] })}`);
    return found.length === 0;
  });
}
