import type { JsonObject } from "../../oci/json.ts";
import { BridgeError } from "../errors.ts";
import { INTENT_LABEL } from "../managed-service.ts";
import { findDifference } from "../same-definition.ts";
import { isOfCluster } from "../views/networks.ts";
import { toNode } from "../views/node-engines.ts";
import { labelsAt, textAt } from "../views/wire.ts";
import type { Began } from "./change-journal.ts";

interface Manager {
  list(path: string): Promise<JsonObject[]>;
}

/** Whether the cluster is as a change would have made it, of which only its beginning stands in the journal. */
export async function isDone(manager: Manager, { id, action, kind, name, wanted }: Began): Promise<boolean> {
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
