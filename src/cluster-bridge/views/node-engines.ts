import type { JsonObject } from "../../oci/json.ts";
import type { EngineClient } from "../engine-client.ts";
import type { Engines } from "../engines.ts";
import { BridgeError } from "../errors.ts";
import type { Unreachable } from "./list-view.ts";
import { textAt } from "./wire.ts";

/** Every node's own engine, as far as the configuration names them; read calls only. */
export type NodeEngines = Pick<Engines, "find" | "refresh">;

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

type Reads = Pick<EngineClient, "getObject" | "list">;
type Ask<T> = (engine: Reads, info: JsonObject) => Promise<T>;

/** Somebody waits for the answer, of the other nodes too. */
export const IN_TIME = { timeoutMs: 5_000 } as const;

export const toNode = (node: JsonObject): ClusterNode => ({
  id: textAt(node, "ID"),
  name: textAt(node, "Description", "Hostname") || textAt(node, "ID"),
});

/** Asks the engine of every node at once. A node that does not answer, or not as itself, is named with the reason. */
export async function askEach<T>(engines: NodeEngines, nodes: readonly ClusterNode[], ask: Ask<T>): Promise<Asked<T>> {
  const hasEngine = ({ id, name }: ClusterNode): boolean => engines.find({ id, hostname: name }) !== undefined;
  // Of the engine that no node's name is given for is known only by itself which node it is.
  if (!nodes.every(hasEngine)) await engines.refresh();
  const asked = await Promise.all(nodes.map((node) => askOne(engines, node, ask)));
  return {
    answers: asked.flatMap((one) => ("answer" in one ? [one] : [])),
    unreachable: asked.flatMap((one) => ("reason" in one ? [{ node: one.node.name, reason: one.reason }] : [])),
  };
}

type One<T> = { readonly node: ClusterNode } & ({ readonly answer: T } | { readonly reason: string });

async function askOne<T>(engines: NodeEngines, node: ClusterNode, ask: Ask<T>): Promise<One<T>> {
  const engine = engines.find({ id: node.id, hostname: node.name })?.client;
  if (engine === undefined) return { node, reason: "the bridge's configuration names no engine for it" };
  try {
    return { node, answer: await askItself(engine, node, ask) };
  } catch (error) {
    if (!(error instanceof BridgeError)) throw error;
    return { node, reason: error.message };
  }
}

/** @throws BridgeError ENGINE for the engine of another node: it would be shown as this one's */
async function askItself<T>(engine: Reads, { id, name }: ClusterNode, ask: Ask<T>): Promise<T> {
  const info = await engine.getObject("/info", IN_TIME);
  const itself = textAt(info, "Swarm", "NodeID");
  if (itself !== id) throw new BridgeError("ENGINE", `the engine that is configured for ${name} is not of this node`);
  return ask(engine, info);
}
