import type { Json, JsonObject } from "../../oci/json.ts";
import type { Command, CommandCall } from "../command.ts";
import { CliError } from "../errors.ts";
import { formatBytes } from "../sizes.ts";
import { type Columns, field, writeList } from "../table.ts";
import { clusterPath, fieldOf, pairs, readView, writeOne } from "./view.ts";

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
];

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
