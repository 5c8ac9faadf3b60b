import { isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";
import type { CommandCall } from "../command.ts";
import { field, toText, writeList } from "../table.ts";

/** `placed by binpack: w1 3, w2 1`; none where a bridge tells it another way. */
export function describePlacement({ strategy, seed, nodes }: JsonObject): string[] {
  const rows = rowsOf(nodes).filter(({ tasks }) => typeof tasks === "number" && tasks > 0);
  const where = rows.map(({ node, tasks }) => `${toText(node)} ${toText(tasks)}`).join(", ");
  const how = typeof seed === "number" ? `${toText(strategy)} (seed ${seed})` : toText(strategy);
  return rows.length === 0 ? [] : [`placed by ${how}: ${where}`];
}

/** Of every node: how many tasks are expected there, what is free, and why. */
export function writePlacement(call: Pick<CommandCall, "io" | "options">, { nodes }: JsonObject): void {
  writeList(call, rowsOf(nodes), {
    node: field("node"),
    tasks: field("tasks"),
    "free cpu": ({ freeCpus }) => (typeof freeCpus === "number" ? String(Math.round(freeCpus * 100) / 100) : "-"),
    "free mib": ({ freeMemoryBytes: bytes }) => (typeof bytes === "number" ? String(Math.floor(bytes / 2 ** 20)) : "-"),
    why: field("why"),
  });
}

function rowsOf(nodes: Json | undefined): JsonObject[] {
  return Array.isArray(nodes) ? nodes.filter(isJsonObject) : [];
}
