import type { Json, JsonObject } from "../oci/json.ts";
import type { ServiceSpec } from "./service-spec.ts";

/** What the engine knows by ids, and the specification by names. */
export interface ClusterIds {
  readonly networks: ReadonlyMap<string, string>;
  readonly secrets: ReadonlyMap<string, string>;
  readonly configs: ReadonlyMap<string, string>;
}

export interface Definition {
  readonly spec: ServiceSpec;
  /** `host:port/org/app@sha256:…` */
  readonly pinned: string;
  readonly ids: ClusterIds;
  /** `TaskTemplate.Placement`. */
  readonly placement: JsonObject;
  /** The bridge's own, under `goldseal.`. */
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * A service as the engine's API has it. Everything is said, so that what the engine answers can be compared with it; updates
 * pause when they fail, because what the engine would roll back to may have been revoked.
 * @see Docker Engine API 1.41, ServiceSpec; issue 7, number 2
 */
export function toDefinition({ spec, pinned, ids, labels, placement }: Definition): JsonObject {
  const { replicas } = spec;
  return {
    Name: spec.name,
    Labels: { ...spec.labels, ...labels },
    TaskTemplate: {
      ContainerSpec: toContainer(spec, pinned, ids),
      Resources: { Limits: toAmount(spec.limits), Reservations: toAmount(spec.reservations) },
      Placement: placement,
      Networks: spec.networks.map((name) => ({ Target: ids.networks.get(name) ?? "" })),
    },
    Mode: replicas === "global" ? { Global: {} } : { Replicated: { Replicas: replicas } },
    UpdateConfig: {
      Parallelism: spec.update.parallelism,
      ...(spec.update.delay === undefined ? {} : { Delay: toNanoseconds(spec.update.delay) }),
      FailureAction: "pause",
      Monitor: toNanoseconds(spec.update.monitor),
      Order: spec.update.order,
    },
    EndpointSpec: {
      Mode: spec.endpointMode,
      Ports: spec.ports.map(({ target, published, protocol, mode }) => ({
        ...{ Protocol: protocol, TargetPort: target, PublishMode: mode },
        ...(published === undefined ? {} : { PublishedPort: published }),
      })),
    },
  };
}

function toContainer(spec: ServiceSpec, pinned: string, ids: ClusterIds): JsonObject {
  return {
    Image: pinned,
    ...given("Command", spec.entrypoint),
    ...given("Args", spec.command),
    ...given("User", spec.user),
    ...given("Dir", spec.workingDirectory),
    ...given("Hostname", spec.hostname),
    Labels: spec.containerLabels,
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    ReadOnly: spec.readOnly,
    Mounts: spec.mounts.map(toMount),
    Secrets: spec.secrets.map((entry) => ({
      ...toMounted(entry),
      SecretID: ids.secrets.get(entry.source) ?? "",
      SecretName: entry.source,
    })),
    Configs: spec.configs.map((entry) => ({
      ...toMounted(entry),
      ConfigID: ids.configs.get(entry.source) ?? "",
      ConfigName: entry.source,
    })),
    CapabilityAdd: spec.capabilities.add,
    CapabilityDrop: spec.capabilities.drop,
    ...given("StopGracePeriod", spec.stopGrace && toNanoseconds(spec.stopGrace)),
    ...given("Healthcheck", spec.health && toHealth(spec.health)),
  };
}

const given = (name: string, value: Json | undefined): JsonObject => (value === undefined ? {} : { [name]: value });

function toMount(mount: ServiceSpec["mounts"][number]): JsonObject {
  const { type, target } = mount;
  const driver = mount.type === "volume" && mount.driver && { DriverConfig: { Name: mount.driver } };
  if (mount.type !== "tmpfs")
    return {
      ...{ Type: type, Source: mount.source, Target: target, ReadOnly: mount.readOnly },
      ...given("VolumeOptions", driver || undefined),
    };
  return { Type: type, Target: target, ...given("TmpfsOptions", mount.sizeBytes && { SizeBytes: mount.sizeBytes }) };
}

function toMounted({ source, target = source, uid, gid, mode }: ServiceSpec["secrets"][number]): JsonObject {
  return { File: { Name: target, UID: uid, GID: gid, Mode: mode } };
}

function toHealth({ test, interval, timeout, retries }: NonNullable<ServiceSpec["health"]>): JsonObject {
  return { Test: test, Interval: toNanoseconds(interval), Timeout: toNanoseconds(timeout), Retries: retries };
}

function toAmount({ cpus, memoryBytes }: ServiceSpec["limits"]): JsonObject {
  return { ...given("NanoCPUs", cpus && Math.round(cpus * 1e9)), ...given("MemoryBytes", memoryBytes) };
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `5s` → 5,000,000,000. */
function toNanoseconds(span: string): number {
  return Number(span.slice(0, -1)) * (SECONDS[span.slice(-1)] ?? 1) * 1e9;
}
