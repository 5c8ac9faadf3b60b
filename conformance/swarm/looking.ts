/** What the suites look at: the engines themselves, the bridge's journal, what a node answers. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "../harness/report.ts";
import { askEngine, type Loose, listOf } from "./lab/engine.ts";
import type { LabNode } from "./lab.ts";
import type { World } from "./world.ts";

/** Checks of one matter; main.ts runs one after the other on the same world. */
export type Part = (world: World, report: Report) => Promise<void>;

/** How services come up where nobody asks whether they stay: that is looked at in one place, and takes its time. */
export const QUICK = { monitor: "250ms" };

export interface Running {
  readonly node: string;
  readonly service: string;
  /** As its container was asked for. */
  readonly image: string;
  readonly id: string;
}

const NAME_LABEL = "com.docker.swarm.service.name";

/** The containers that run, of every engine itself and not as the Swarm tells of it; of one service, or of all. */
export async function running({ lab }: Pick<World, "lab">, service?: string): Promise<Running[]> {
  const label = service === undefined ? NAME_LABEL : `${NAME_LABEL}=${service}`;
  const found = lab.nodes.filter(({ isRunning }) => isRunning).map((node) => runningOn(node, label));
  return (await Promise.all(found)).flat();
}

async function runningOn(node: LabNode, label: string): Promise<Running[]> {
  const path = `/containers/json?filters=${filters({ label: [label], status: ["running"] })}`;
  const ids = (await listOf(node.socketPath, path)).map(({ Id }) => String(Id));
  const inspect = async (id: string): Promise<Running[]> => {
    const found = (await askEngine(node.socketPath, "GET", `/containers/${id}/json`).catch(() => undefined)) as
      | { readonly Config: { readonly Image: string; readonly Labels: Record<string, string> } }
      | undefined;
    if (found === undefined) return [];
    return [{ node: node.name, service: found.Config.Labels[NAME_LABEL] ?? "", image: found.Config.Image, id }];
  };
  return (await Promise.all(ids.map(inspect))).flat();
}

export const filters = (value: Readonly<Record<string, readonly string[]>>): string =>
  encodeURIComponent(JSON.stringify(value));

/** A service as the manager has it. @throws Error when there is none */
export async function inspectService({ lab }: Pick<World, "lab">, name: string): Promise<Loose> {
  return (await askEngine(lab.manager().socketPath, "GET", `/services/${name}`)) as Loose;
}

export interface JournalLine extends Loose {
  readonly event: string;
  readonly id?: string;
  readonly service?: string;
}

export function journal(world: Pick<World, "bridgeStore">): JournalLine[] {
  const file = join(world.bridgeStore, "journal");
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

/** What a task of ours says by HTTP, in its own words; undefined when nobody answers. */
export async function ask(ip: string, port: number): Promise<string | undefined> {
  const signal = AbortSignal.timeout(2000);
  const answer = await fetch(`http://${ip}:${port}/`, { signal }).catch(() => undefined);
  return answer?.ok ? (await answer.text()).trim() : undefined;
}

export function equal(found: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`expected ${b}\n   found ${a}`);
}
