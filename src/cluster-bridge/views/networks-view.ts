import { z } from "zod";
import type { RestOperation } from "../../http/rest-operation.ts";
import type { JsonObject } from "../../oci/json.ts";
import { listQuery, listView, text, type ViewDeps } from "./list-view.ts";
import { isOfCluster, type NetworkUser, readAttached, usersOf } from "./networks.ts";
import { placeOf } from "./services.ts";
import { maySee, STACK, type Viewer } from "./viewer.ts";
import { at, flagAt, labelsAt, listAt, textAt } from "./wire.ts";

const networkSchema = z.strictObject({
  id: z.string(),
  name: z.string(),
  environment: z.string().optional(),
  stack: z.string().optional(),
  driver: z.string(),
  subnets: z.array(z.strictObject({ subnet: z.string(), gateway: z.string() })),
  encrypted: z.boolean(),
  attachable: z.boolean(),
  internal: z.boolean(),
  ingress: z.boolean(),
  labels: z.record(z.string(), z.string()),
  services: z.array(z.string()).describe("attached, of those that you may see"),
  others: z.int().describe("users that you may not see, and containers that somebody ran by hand"),
  createdAt: z.string(),
});
type Network = z.infer<typeof networkSchema>;

const networksQuery = listQuery.extend({ stack: text });

export function listNetworks(deps: ViewDeps): RestOperation {
  return listView(deps, {
    ...{ name: "networks", summary: "Networks that span the cluster", entry: networkSchema, query: networksQuery },
    keyOf: ({ name, id }) => `${name}/${id}`,
    read: async (viewer, { stack }) => {
      const [networks, attached] = await Promise.all([deps.manager.list("/networks"), readAttached(deps.manager)]);
      const entries = networks
        .filter((network) => isOfCluster(network) && isAsked(labelsAt(network, "Labels"), viewer, stack))
        .map((network) => toView(network, usersOf(network, attached), viewer));
      return { entries };
    },
  });
}

function isAsked(labels: Readonly<Record<string, string>>, viewer: Viewer, stack: string | undefined): boolean {
  return (stack === undefined || labels[STACK] === stack) && maySee(viewer, labels);
}

function toView(network: JsonObject, users: readonly NetworkUser[], { environments }: Viewer): Network {
  const labels = labelsAt(network, "Labels");
  const seen = users.filter(
    ({ kind, environment }) => kind === "service" && (environment === undefined || environments.has(environment)),
  );
  return {
    ...{ id: textAt(network, "Id"), name: textAt(network, "Name"), ...placeOf(labels) },
    driver: textAt(network, "Driver"),
    subnets: listAt(network, "IPAM", "Config").map((config) => ({
      subnet: textAt(config, "Subnet"),
      gateway: textAt(config, "Gateway"),
    })),
    encrypted: isEncrypted(network),
    attachable: flagAt(network, "Attachable"),
    internal: flagAt(network, "Internal"),
    ingress: flagAt(network, "Ingress"),
    labels,
    services: seen.map(({ name }) => name).toSorted(),
    others: users.length - seen.length,
    createdAt: textAt(network, "Created"),
  };
}

/** The driver looks whether the option is there, not what it says. */
export const isEncrypted = (network: JsonObject): boolean => at(network, "Options", "encrypted") !== undefined;
