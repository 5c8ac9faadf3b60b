import type { JsonObject } from "../../oci/json.ts";
import type { EngineClient } from "../engine-client.ts";
import { BridgeError } from "../errors.ts";
import type { Unreachable } from "./list-view.ts";
import { textAt } from "./wire.ts";

/** Every node's own engine, as far as the configuration names them; read calls only. */
export interface NodeEngines {
  /** @param node its host name or its id */
  get(node: string): Pick<EngineClient, "getObject" | "list"> | undefined;
}

export interface ClusterNode {
  readonly id: string;
  readonly name: string;
}

export interface Asked<T> {
  /** What each node said. */
  readonly answers: readonly { readonly node: ClusterNode; readonly answer: T }[];
  /** Every other node. */
  readonly unreachable: readonly Unreachable[];
}

type Engine = NonNullable<ReturnType<NodeEngines["get"]>>;
type Ask<T> = (engine: Engine, info: JsonObject) => Promise<T>;

/** Somebody waits for the answer, of the other nodes too. */
const TIMEOUT_MS = 5_000;

export const toNode = (node: JsonObject): ClusterNode => ({
  id: textAt(node, "ID"),
  name: textAt(node, "Description", "Hostname") || textAt(node, "ID"),
});

/** Asks the engine of every node at once. A node that does not answer, or not as itself, is named with the reason. */
export async function askEach<T>(
  engines: NodeEngines,
  nodes: readonly ClusterNode[],
  ask: Ask<T>,
): Promise<Asked<T>> {
  const asked = await Promise.all(nodes.map((node) => askOne(engines, node, ask)));
  return {
    answers: asked.flatMap((one) => ("answer" in one ? [one] : [])),
    unreachable: asked.flatMap((one) => ("reason" in one ? [{ node: one.node.name, reason: one.reason }] : [])),
  };
}

type One<T> = { readonly node: ClusterNode } & ({ readonly answer: T } | { readonly reason: string });

async function askOne<T>(engines: NodeEngines, node: ClusterNode, ask: Ask<T>): Promise<One<T>> {
  const engine = engines.get(node.name) ?? engines.get(node.id);
  if (engine === undefined) return { node, reason: "the bridge's configuration names no engine for it" };
  try {
    return { node, answer: await inTime(askItself(engine, node, ask)) };
  } catch (error) {
    if (!(error instanceof BridgeError)) throw error;
    return { node, reason: error.message };
  }
}

/** @throws BridgeError ENGINE for the engine of another node: it would be shown as this one's */
async function askItself<T>(engine: Engine, { id, name }: ClusterNode, ask: Ask<T>): Promise<T> {
  const info = await engine.getObject("/info");
  const itself = textAt(info, "Swarm", "NodeID");
  if (itself !== id) throw new BridgeError("ENGINE", `the engine that is configured for ${name} is not of this node`);
  return ask(engine, info);
}

async function inTime<T>(answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const fail = (): void => late.reject(new BridgeError("SILENT", `no answer for ${TIMEOUT_MS / 1000} s`));
  const timer = setTimeout(fail, TIMEOUT_MS);
  try {
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
