import { isJsonObject, type Json } from "../../oci/json.ts";
import type { Command, CommandCall } from "../command.ts";
import { type Columns, field, toText, writeList } from "../table.ts";
import { clusterPath, environmentOption, option, pairs, queryOf, readView } from "./view.ts";

const COLUMNS: Columns = {
  volume: field("name"),
  node: field("node"),
  driver: field("driver"),
  stack: field("stack"),
  "mounted by": ({ containers, others, orphaned }) => mountersOf(containers, others, orphaned),
  labels: ({ labels }) => pairs(labels),
};

const FILTERS = {
  ...environmentOption,
  label: option("NAME[=VALUE]", "only with this label"),
  driver: option("DRIVER", "only of this one"),
  stack: option("STACK", "only of this one"),
  node: option("NODE", "only on this one"),
  orphaned: { type: "boolean", help: "only those that no container mounts" },
} as const;

export const volumesCommands: readonly Command[] = [
  {
    noun: "volumes",
    verb: "ls",
    args: [],
    options: FILTERS,
    help: "List the volumes of all nodes, and which containers mount them.",
    run: (call) => list(call, ""),
  },
  {
    noun: "volumes",
    verb: "search",
    args: ["NAME"],
    options: FILTERS,
    help: "Find volumes on all nodes by a part of their name.",
    run: (call) => list(call, `name=${encodeURIComponent(call.args[0] ?? "")}`),
  },
];

async function list(call: CommandCall, byName: string): Promise<void> {
  const query = [byName, queryOf(call, Object.keys(FILTERS))].filter((part) => part !== "").join("&");
  writeList(call, await readView(call, clusterPath("volumes"), "volumes", query), COLUMNS);
}

function mountersOf(containers: Json | undefined, others: Json | undefined, orphaned: Json | undefined): string {
  if (orphaned === true) return "nobody";
  const seen = Array.isArray(containers) ? containers.filter(isJsonObject).map(({ name }) => toText(name)) : [];
  return [...seen, ...(typeof others === "number" && others > 0 ? [`${others} more`] : [])].join(",");
}
