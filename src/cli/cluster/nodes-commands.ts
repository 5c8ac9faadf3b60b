import type { Json, JsonObject } from "../../oci/json.ts";
import type { Command, CommandCall } from "../command.ts";
import { CliError } from "../errors.ts";
import { formatBytes } from "../sizes.ts";
import { type Columns, field, writeList } from "../table.ts";
import { orderChange } from "./change.ts";
import { orderOptions } from "./order.ts";
import { clusterPath, fieldOf, listOption, option, pairs, parsePairs, readView, writeOne } from "./view.ts";

const COLUMNS: Columns = {
  node: field("name"),
  state: field("state"),
  availability: field("availability"),
  role: ({ role, leader }) => (leader === true ? `${role} (leader)` : String(role)),
  "free cpus": ({ cpus }) => `${fieldOf(cpus, "free")} of ${fieldOf(cpus, "total")}`,
  "free memory": ({ memoryBytes }) => `${sizeOf(memoryBytes, "free")} of ${sizeOf(memoryBytes, "total")}`,
  tasks: field("tasks"),
  engine: field("engine"),
  userns: field("userns"),
  certificate: field("certificate"),
  labels: ({ labels }) => pairs(labels),
};

export const nodesCommands: readonly Command[] = [
  {
    noun: "nodes",
    verb: "ls",
    args: [],
    help: "List the cluster's nodes: state, role, what is free on them, engine, user namespaces, labels.",
    run: async (call) => writeList(call, await readNodes(call), COLUMNS),
  },
  {
    noun: "nodes",
    verb: "inspect",
    args: ["NODE"],
    help: "Show all that is known of a node, by its host name or id.",
    run: async (call) => writeOne(call, await getNode(call)),
  },
  {
    noun: "nodes",
    verb: "update",
    args: ["NODE"],
    options: {
      ...orderOptions,
      labels: option("NAME=VALUE", "set these, with commas between"),
      "remove-labels": option("NAME", "take these away, with commas between"),
      availability: option("active|pause|drain", "whether it takes new tasks, and keeps those it has"),
      role: option("manager|worker", "promote or demote it"),
    },
    help: `Change a node. It belongs to all environments: your key must be an operator's in each of them.
      What would cost the managers their quorum is refused.`,
    run: updateNode,
  },
];

async function updateNode(call: CommandCall): Promise<void> {
  const [node = ""] = call.args;
  const { availability, role } = call.options;
  const removed = listOption(call, "remove-labels").map((name) => [name, null] as const);
  const labels = { ...parsePairs(listOption(call, "labels")), ...Object.fromEntries(removed) };
  const body = { node, labels, ...(availability && { availability }), ...(role && { role }) };
  const said = { doing: `change the node ${node}`, did: `changed the node ${node}` };
  await orderChange(call, { action: "node.update", body, ...said });
}

const readNodes = (call: CommandCall): Promise<Json[]> => readView(call, clusterPath("nodes"), "nodes", "");

async function getNode(call: CommandCall): Promise<JsonObject> {
  const [wanted = ""] = call.args;
  const found = (await readNodes(call)).filter((node) => [fieldOf(node, "name"), fieldOf(node, "id")].includes(wanted));
  const [node, another] = found;
  if (node === undefined) throw new CliError(`the cluster has no node ${wanted}`);
  if (another !== undefined) throw new CliError(`several nodes are called ${wanted}: name one by its id`);
  return node as JsonObject;
}

const sizeOf = (amount: Json | undefined, name: string): string => formatBytes(Number(fieldOf(amount, name)) || 0);
