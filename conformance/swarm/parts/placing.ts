/** Services that are placed, what the bridge said of the nodes, and where their tasks are. */
import { type Loose, listOf, until } from "../lab/engine.ts";
import { QUICK, running } from "../looking.ts";
import type { Answer, World } from "../world.ts";

export interface Row {
  readonly node: string;
  readonly chosen: boolean;
  readonly tasks: number;
  readonly why: string;
}

export interface Table {
  readonly strategy: string;
  readonly seed?: number;
  readonly constraints: readonly { readonly constraint: string; readonly matches: number; readonly of: number }[];
  readonly nodes: readonly Row[];
}

export function service(world: World, more: object): object {
  return { name: "placed", image: world.image("1"), update: QUICK, ...more };
}

/** What the bridge said of the nodes while it deployed. @throws Error when it did not */
export async function placed(world: World, more: object): Promise<Table> {
  const { lines, last } = await world.deploy(service(world, more));
  const { outcome } = (last ?? {}) as { outcome?: Loose };
  if (outcome?.kind !== "deployed") throw new Error(JSON.stringify(last));
  const tables = lines.flatMap((line) => (line?.progress as { placement?: Table } | undefined)?.placement ?? []);
  if (tables[0] === undefined) throw new Error("no table was told");
  return tables[0];
}

export function refusalOf({ status, last }: Answer): unknown[] {
  return [status, last?.code, last?.detail];
}

export function expected({ nodes }: Table): Record<string, number> {
  return Object.fromEntries(nodes.flatMap(({ node, tasks }) => (tasks > 0 ? [[node, tasks]] : [])));
}

/** The one node that was chosen. */
export function fullOf({ nodes }: Table): string {
  const [first, ...others] = nodes.filter(({ chosen }) => chosen);
  if (first === undefined || others.length > 0) throw new Error(`one node: ${JSON.stringify(nodes)}`);
  return first.node;
}

/** How many tasks each node's own engine runs, by its name, in order; after old ones have ended. */
export async function tasksOf(world: World, name: string): Promise<Record<string, number>> {
  const containers = await running(world, name);
  const counts = Map.groupBy(containers, ({ node }) => node);
  return Object.fromEntries([...counts].map(([node, all]) => [node, all.length] as const).sort());
}

/** Versions of all that the managers know. */
export async function state({ lab }: World): Promise<unknown[]> {
  const versions = (all: readonly Loose[]) => all.map(({ ID, Spec }) => JSON.stringify([ID, Spec])).sort();
  const socket = lab.manager().socketPath;
  return [versions(await listOf(socket, "/nodes")), versions(await listOf(socket, "/services"))];
}

/** As ordered: what the bridge made, it takes away. Resolves when no container of theirs runs. */
export async function remove(world: World, names: readonly string[], environment = "prod"): Promise<void> {
  for (const name of names) {
    const { status, last } = await world.change("service.remove", { name }, environment);
    if (status !== 200) throw new Error(JSON.stringify(last));
  }
  await until(`${names.join(", ")} ended`, async () => {
    const left = await Promise.all(names.map((name) => running(world, name)));
    return left.flat().length === 0;
  });
}
