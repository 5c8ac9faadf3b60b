import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import type { ActionHandler, ActionTable } from "../actions.ts";
import type { Core } from "../core.ts";
import { BridgeError } from "../errors.ts";
import { readBody } from "../order-body.ts";
import { toNode } from "../views/node-engines.ts";
import { at, labelsAt, numberAt, textAt } from "../views/wire.ts";
import { type NodeBody, nodeSchema } from "./bodies.ts";
import type { ChangeJournal } from "./change-journal.ts";

type Engines = Core["engines"];

export function nodeActions({ engines }: Pick<Core, "engines">, journal: ChangeJournal): ActionTable {
  return { "node.update": update(engines, journal) };
}

/** `node.update`: labels, availability and role. What the cluster would not outlive is refused. */
function update(engines: Engines, journal: ChangeJournal): ActionHandler {
  return (order, bytes) => {
    const body = readBody(bytes, nodeSchema, "the order's body");
    return journal.run(order, { kind: "node", name: body.node }, async (change) => {
      const manager = engines.manager();
      const nodes = await manager.list("/nodes");
      const node = getNode(nodes, body.node);
      if (body.role === "worker") await refuseDemotion(engines, node, nodes);
      if (body.availability === "drain") refuseDrain(node, nodes);

      const wanted = toSpec(node, body);
      const path = `/nodes/${textAt(node, "ID")}/update?version=${numberAt(node, "Version", "Index")}`;
      const tell = async (): Promise<void> => {
        await manager.call("POST", path, { body: Buffer.from(JSON.stringify(wanted)) });
      };
      await change.tell(tell, { wanted });
      return { kind: "done", node: toNode(node).name };
    });
  };
}

/** @throws BridgeError MISSING; SPEC for a host name that several have */
function getNode(nodes: readonly JsonObject[], wanted: string): JsonObject {
  const named = nodes.filter((node) => toNode(node).id === wanted || toNode(node).name === wanted);
  const [found, another] = named;
  if (found !== undefined && another === undefined) return found;
  if (found === undefined) throw new BridgeError("MISSING", `the cluster has no node ${wanted}`);
  throw new BridgeError("SPEC", `the cluster has more than one node ${wanted}`);
}

function toSpec(node: JsonObject, { labels, availability, role }: NodeBody): JsonObject {
  const merged = Object.entries({ ...labelsAt(node, "Spec", "Labels"), ...labels });
  const held = at(node, "Spec");
  return {
    ...(isJsonObject(held) ? held : {}),
    Labels: Object.fromEntries(merged.filter(([, value]) => value !== null)),
    Availability: availability ?? textAt(node, "Spec", "Availability"),
    Role: role ?? textAt(node, "Spec", "Role"),
  };
}

const isManager = (node: JsonObject): boolean => textAt(node, "Spec", "Role") === "manager";
const isReachable = (node: JsonObject): boolean => textAt(node, "ManagerStatus", "Reachability") === "reachable";

/** More than half of the managers must be there, before and after. @throws BridgeError CONFLICT */
async function refuseDemotion(engines: Engines, node: JsonObject, nodes: readonly JsonObject[]): Promise<void> {
  if (!isManager(node)) return;
  const { id, name } = toNode(node);
  const others = nodes.filter((one) => isManager(one) && toNode(one).id !== id);
  const needed = Math.floor(others.length / 2) + 1;
  const left = others.filter(isReachable).length;
  if (others.length === 0) throw new BridgeError("CONFLICT", `${name} is the cluster's only manager`);
  if (left < needed)
    throw new BridgeError(
      "CONFLICT",
      `without ${name} the managers would lose their quorum: ${left} of ${others.length} would be reachable, and it takes ${needed}`,
    );
  await engines.refresh();
  if (!engines.each().some(({ facts }) => facts?.isManager === true && facts.nodeId !== id))
    throw new BridgeError(
      "CONFLICT",
      `the bridge reaches the cluster by ${name} alone: engines names no other manager`,
    );
}

/** @throws BridgeError CONFLICT */
function refuseDrain(node: JsonObject, nodes: readonly JsonObject[]): void {
  const { id, name } = toNode(node);
  const takesTasks = (one: JsonObject): boolean =>
    textAt(one, "Status", "State") === "ready" && textAt(one, "Spec", "Availability") === "active";
  if (nodes.some((one) => toNode(one).id !== id && takesTasks(one))) return;
  throw new BridgeError("CONFLICT", `no other node takes tasks: what runs on ${name} would have nowhere to go`);
}
