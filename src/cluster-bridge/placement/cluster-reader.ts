import { isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";
import type { EngineClient } from "../engine-client.ts";
import { BridgeError } from "../errors.ts";
import { byName, type Cluster, type Node, type Occupant } from "./cluster.ts";

/** The states of a task that keeps what it reserved. */
const ALIVE = new Set(["new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"]);
const WANTED = encodeURIComponent(JSON.stringify({ "desired-state": ["running", "accepted"] }));

/** All nodes, and what runs on them, as a manager knows it. @throws BridgeError ENGINE, SILENT */
export async function readCluster(engine: Pick<EngineClient, "list">): Promise<Cluster> {
  const [nodes, tasks, services] = await Promise.all([
    engine.list("/nodes"),
    engine.list(`/tasks?filters=${WANTED}`),
    engine.list("/services"),
  ]);
  const ports = new Map(services.map((service) => [toText(service.ID), hostPortsOf(service)]));
  return { nodes: nodes.map(toNode).sort(byName), occupants: tasks.flatMap((task) => toOccupant(task, ports)) };
}

export function toNode(node: JsonObject): Node {
  const [spec, description, status] = [node.Spec, node.Description, node.Status].map(toObject);
  const [platform, resources, engine] = [description?.Platform, description?.Resources, description?.Engine].map(
    toObject,
  );
  const id = toText(node.ID);
  if (id === "" || spec === undefined) throw new BridgeError("ENGINE", "the engine shows a node that is none");
  const [state, availability] = [toText(status?.State), toText(spec.Availability)];
  return {
    ...{ id, hostname: toText(description?.Hostname), role: toText(spec.Role) },
    ...{ os: toText(platform?.OS), arch: toText(platform?.Architecture) },
    ...{ labels: toLabels(spec.Labels), engineLabels: toLabels(engine?.Labels) },
    away: state !== "ready" ? state || "unknown" : availability !== "active" ? availability || "unknown" : undefined,
    volumeDrivers: toVolumeDrivers(engine?.Plugins),
    ...{ nanoCpus: toNumber(resources?.NanoCPUs), memoryBytes: toNumber(resources?.MemoryBytes) },
    generic: toGeneric(resources?.GenericResources),
  };
}

function toOccupant(
  { NodeID, ServiceID, Spec, Status }: JsonObject,
  ports: ReadonlyMap<string, readonly string[]>,
): Occupant[] {
  const [node, service] = [toText(NodeID), toText(ServiceID)];
  if (node === "" || !ALIVE.has(toText(toObject(Status)?.State))) return [];
  const reserved = toObject(toObject(toObject(Spec)?.Resources)?.Reservations);
  return [
    {
      ...{ node, service, hostPorts: ports.get(service) ?? [] },
      ...{ nanoCpus: toNumber(reserved?.NanoCPUs), memoryBytes: toNumber(reserved?.MemoryBytes) },
      generic: toGeneric(reserved?.GenericResources),
    },
  ];
}

function hostPortsOf({ Spec }: JsonObject): string[] {
  const ports = toObject(toObject(Spec)?.EndpointSpec)?.Ports;
  const entries: readonly Json[] = Array.isArray(ports) ? ports : [];
  return entries.filter(isJsonObject).flatMap(({ PublishMode, PublishedPort, Protocol }) => {
    return PublishMode === "host" && typeof PublishedPort === "number" ? [`${PublishedPort}/${toText(Protocol)}`] : [];
  });
}

/** By number, or each by a name of its own. @see Docker Engine API 1.41, GenericResources */
function toGeneric(value: Json | undefined): Map<string, number> {
  const found = new Map<string, number>();
  const entries: readonly Json[] = Array.isArray(value) ? value : [];
  for (const { DiscreteResourceSpec: some, NamedResourceSpec: one } of entries.filter(isJsonObject)) {
    const kind = toText(toObject(some)?.Kind) || toText(toObject(one)?.Kind);
    found.set(kind, (found.get(kind) ?? 0) + (one === undefined ? toNumber(toObject(some)?.Value) : 1));
  }
  return found;
}

function toVolumeDrivers(plugins: Json | undefined): Set<string> {
  const entries: readonly Json[] = Array.isArray(plugins) ? plugins : [];
  const volume = entries.filter(isJsonObject).filter(({ Type }) => Type === "Volume");
  return new Set(volume.map(({ Name }) => toText(Name)));
}

function toLabels(value: Json | undefined): Map<string, string> {
  return new Map(Object.entries(toObject(value) ?? {}).map(([name, text]) => [name, toText(text)]));
}

/** The engine leaves out what is empty. */
const toObject = (value: Json | undefined): JsonObject | undefined => (isJsonObject(value) ? value : undefined);
const toText = (value: Json | undefined): string => (typeof value === "string" ? value : "");
const toNumber = (value: Json | undefined): number => (typeof value === "number" ? value : 0);
