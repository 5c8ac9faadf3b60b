import { isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";
import type { Core } from "../core.ts";
import { BridgeError, toRefusal } from "../errors.ts";
import { INTENT_LABEL } from "../managed-service.ts";
import { findDifference } from "../same-definition.ts";
import { isOfCluster } from "../views/networks.ts";
import { toNode } from "../views/node-engines.ts";
import { labelsAt, textAt } from "../views/wire.ts";
import type { Began, Look } from "./change-journal.ts";
import { findMadeFault } from "./network-changes.ts";

type Manager = Pick<ReturnType<Core["engines"]["manager"]>, "list" | "call">;

/** Whether the cluster is as a change would have made it, of which only its beginning stands in the journal. */
export async function look(manager: Manager, began: Began): ReturnType<Look> {
  const isDone = await isThere(manager, began);
  const { action, id, wanted } = began;
  if (!isDone || action !== "network.create" || !isJsonObject(wanted as Json)) return { isDone };
  const why = await findMadeFault(manager, id, wanted as JsonObject).catch(whyNotRemoved);
  return why === undefined ? { isDone } : { isDone: false, why };
}

/** Somebody may use it already. @throws BridgeError SILENT: it is looked at again */
function whyNotRemoved(error: unknown): string {
  const { code, reason } = toRefusal(error);
  if (code === "SILENT") throw error;
  return `the engine holds another network than was ordered, and keeps it: ${reason}`;
}

async function isThere(manager: Manager, { id, action, kind, name, wanted }: Began): Promise<boolean> {
  const all = await manager.list(`/${kind}s`);
  // A manager shows its own node's networks too, which may have the same names.
  const held = kind === "network" ? all.filter(isOfCluster) : all;
  if (kind === "node") {
    const node = held.find((one) => toNode(one).id === name || toNode(one).name === name);
    return findDifference(wanted as JsonObject, node?.Spec) === undefined;
  }
  if (action.endsWith(".create")) return held.some((one) => labelsOf(one)[INTENT_LABEL] === id);
  if (action.endsWith(".remove")) return !held.some((one) => nameOf(one) === name);
  throw new BridgeError("STORE", `the journal has a change that is none: ${action}`);
}

/** Networks have their labels and name at the top. */
const labelsOf = (one: JsonObject) => ({ ...labelsAt(one, "Labels"), ...labelsAt(one, "Spec", "Labels") });
const nameOf = (one: JsonObject): string => textAt(one, "Spec", "Name") || textAt(one, "Name");
