import { z } from "zod";
import type { RestOperation } from "../../http/rest-operation.ts";
import type { JsonObject } from "../../oci/json.ts";
import { ENVIRONMENT_LABEL } from "../managed-service.ts";
import { listQuery, listView, text, type ViewDeps } from "./list-view.ts";
import { askEach, type ClusterNode, IN_TIME, toNode } from "./node-engines.ts";
import { placeOf } from "./services.ts";
import { maySee, type Viewer } from "./viewer.ts";
import { findText, labelsAt, listAt, textAt, textsAt } from "./wire.ts";

const containerSchema = z.strictObject({
  name: z.string(),
  id: z.string(),
  state: z.string(),
  service: z.string().optional(),
});

const volumeSchema = z.strictObject({
  name: z.string(),
  node: z.string().describe("volumes of one name on two nodes are two volumes"),
  driver: z.string(),
  scope: z.string(),
  labels: z.record(z.string(), z.string()),
  environment: z.string().optional(),
  stack: z.string().optional(),
  containers: z.array(containerSchema).describe("that mount it, running or not, of those that you may see"),
  others: z.int().describe("containers that mount it and that you may not see"),
  orphaned: z.boolean().describe("no container of its node mounts it"),
  createdAt: z.string(),
});
type Volume = z.infer<typeof volumeSchema>;

const volumesQuery = listQuery.extend({
  name: text.describe("a part of it"),
  label: text.describe("NAME, or NAME=VALUE"),
  driver: text,
  stack: text,
  node: text.describe("host name or id"),
  orphaned: z.enum(["true", "false"]).optional(),
});
type Query = z.infer<typeof volumesQuery>;

/** Managers know no volumes: every node's own engine is asked. */
export function listVolumes(deps: ViewDeps): RestOperation {
  return listView(deps, {
    ...{ name: "volumes", summary: "Volumes of all nodes", entry: volumeSchema, query: volumesQuery },
    keyOf: ({ name, node }) => `${name}/${node}`,
    read: async (viewer, query) => {
      const nodes = (await deps.manager.list("/nodes")).map(toNode).filter((node) => isOf(node, query.node));
      const { answers, unreachable } = await askEach(deps.engines, nodes, readVolumes);
      const services = await readServiceLabels(deps);
      const entries = answers.flatMap(({ node, answer: { volumes, containers } }) =>
        volumes.map((volume) => toView(volume, node, { containers, services, viewer })),
      );
      return { entries: entries.filter((volume) => isAsked(volume, query, viewer)), unreachable };
    },
  });
}

const isOf = ({ id, name }: ClusterNode, node: string | undefined): boolean =>
  node === undefined || node === name || node === id;

interface OnNode {
  readonly volumes: readonly JsonObject[];
  readonly containers: readonly JsonObject[];
}

async function readVolumes(engine: Pick<ViewDeps["manager"], "getObject" | "list">): Promise<OnNode> {
  const [answer, containers] = await Promise.all([
    engine.getObject("/volumes", IN_TIME),
    engine.list("/containers/json?all=true", IN_TIME),
  ]);
  return { volumes: listAt(answer, "Volumes"), containers };
}

/** By the services' ids. */
type ServiceLabels = ReadonlyMap<string, Readonly<Record<string, string>>>;

async function readServiceLabels({ manager }: ViewDeps): Promise<ServiceLabels> {
  const services = await manager.list("/services");
  return new Map(services.map((service) => [textAt(service, "ID"), labelsAt(service, "Spec", "Labels")]));
}

interface Around {
  readonly containers: readonly JsonObject[];
  readonly services: ServiceLabels;
  readonly viewer: Viewer;
}

function toView(volume: JsonObject, node: ClusterNode, { containers, services, viewer }: Around): Volume {
  const name = textAt(volume, "Name");
  const labels = labelsAt(volume, "Labels");
  const mounting = containers.filter((container) => mounts(container, name));
  const seen = mounting.filter((container) => maySeeContainer(container, services, viewer));
  return {
    ...{ name, node: node.name, driver: textAt(volume, "Driver"), scope: textAt(volume, "Scope"), labels },
    ...placeOf(labels),
    containers: seen.map(toContainer),
    others: mounting.length - seen.length,
    orphaned: mounting.length === 0,
    createdAt: textAt(volume, "CreatedAt"),
  };
}

function mounts(container: JsonObject, volume: string): boolean {
  return listAt(container, "Mounts").some(
    (mount) => textAt(mount, "Type") === "volume" && textAt(mount, "Name") === volume,
  );
}

/** One without a service belongs to no environment, and one whose service is gone to nobody knows which. */
function maySeeContainer(container: JsonObject, services: ServiceLabels, viewer: Viewer): boolean {
  const service = findText(container, "Labels", "com.docker.swarm.service.id");
  if (service === undefined) return maySee(viewer, {});
  const labels = services.get(service);
  return labels !== undefined && maySee(viewer, labels);
}

function toContainer(container: JsonObject): z.infer<typeof containerSchema> {
  const service = findText(container, "Labels", "com.docker.swarm.service.name");
  return {
    name: (textsAt(container, "Names")[0] ?? "").replace(/^\//, ""),
    id: textAt(container, "Id").slice(0, 12),
    state: textAt(container, "State"),
    ...(service && { service }),
  };
}

function isAsked(volume: Volume, query: Query, viewer: Viewer): boolean {
  const { name, label, driver, stack, orphaned } = query;
  return (
    isVisible(volume, viewer) &&
    (name === undefined || volume.name.includes(name)) &&
    (label === undefined || hasLabel(volume, label)) &&
    (driver === undefined || volume.driver === driver) &&
    (stack === undefined || volume.stack === stack) &&
    (orphaned === undefined || String(volume.orphaned) === orphaned)
  );
}

/** One that belongs to no environment is shown in that whose containers mount it, too. */
const isVisible = ({ labels, containers }: Volume, viewer: Viewer): boolean =>
  maySee(viewer, labels) || (labels[ENVIRONMENT_LABEL] === undefined && containers.length > 0);

function hasLabel({ labels }: Volume, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  if (equals < 0) return Object.hasOwn(labels, wanted);
  const name = wanted.slice(0, equals);
  return Object.hasOwn(labels, name) && labels[name] === wanted.slice(equals + 1);
}
