import type { JsonObject } from "../../oci/json.ts";
import type { EngineClient } from "../engine-client.ts";
import { ENVIRONMENT_LABEL } from "../managed-service.ts";
import { labelsOf, nameOf, networksOf } from "./services.ts";
import { filters, listAt, textAt } from "./wire.ts";

/** Who hangs on a network. */
export interface NetworkUser {
  readonly kind: "service" | "container";
  /** Of the service; of a container that somebody ran by hand, its id. */
  readonly name: string;
  /** Of the service; undefined: of none. */
  readonly environment: string | undefined;
}

/** What spans the cluster: overlay networks, and those of other drivers that the managers keep. */
export const isOfCluster = (network: JsonObject): boolean => textAt(network, "Scope") === "swarm";

/** Whatever can hang on one. */
export interface Attached {
  readonly services: readonly JsonObject[];
  /** Containers that somebody ran by hand are tasks without a service. */
  readonly tasks: readonly JsonObject[];
}

/** Without the filter the engine leaves out what was run by hand. */
const EVERY_TASK = `/tasks?filters=${filters({ runtime: ["container", "attachment"] })}`;

export async function readAttached(manager: Pick<EngineClient, "list">): Promise<Attached> {
  const [services, tasks] = await Promise.all([manager.list("/services"), manager.list(EVERY_TASK)]);
  return { services, tasks };
}

export function usersOf(network: JsonObject, { services, tasks }: Attached): NetworkUser[] {
  const [id, name] = [textAt(network, "Id"), textAt(network, "Name")];
  const attached = services.filter((service) => networksOf(service).some((target) => target === id || target === name));
  const byHand = tasks.filter((task) => textAt(task, "ServiceID") === "" && isAttached(task, id) && isAlive(task));
  return [
    ...attached.map((service) => ({
      ...{ kind: "service" as const, name: nameOf(service) },
      environment: labelsOf(service)[ENVIRONMENT_LABEL],
    })),
    ...byHand.map((task) => ({
      ...{ kind: "container" as const, environment: undefined },
      name: textAt(task, "Spec", "NetworkAttachmentSpec", "ContainerID").slice(0, 12) || textAt(task, "ID"),
    })),
  ];
}

function isAttached(task: JsonObject, networkId: string): boolean {
  return listAt(task, "NetworksAttachments").some((entry) => textAt(entry, "Network", "ID") === networkId);
}

const isAlive = (task: JsonObject): boolean => textAt(task, "DesiredState") === "running";
