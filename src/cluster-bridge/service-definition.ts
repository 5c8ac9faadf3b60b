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
  /** Of each volume that has a name, where an engine makes it. */
  readonly volumeLabels?: Readonly<Record<string, string>>;
  /** That the service is part of. */
  readonly stack?: string | undefined;
}

/** What docker, and whoever asks it, knows a stack's parts by. */
export const STACK = "com.docker.stack.namespace";

/**
 * A service as the engine's API has it. Everything is said, so that what the engine answers can be compared with it; updates
 * pause when they fail, because what the engine would roll back to may have been revoked.
 * @see Docker Engine API 1.41, ServiceSpec; issue 7, number 2
 */
export function toDefinition(definition: Definition): JsonObject {
  const { spec, ids, labels, placement, stack } = definition;
  const { replicas } = spec;
  const ofStack = stack === undefined ? {} : { [STACK]: stack, "com.docker.stack.image": spec.image };
  return {
    Name: spec.name,
    Labels: { ...spec.labels, ...labels, ...ofStack },
    TaskTemplate: {
      ContainerSpec: toContainer(definition),
      Resources: toResources(spec),
      ...given("RestartPolicy", spec.restart && toRestart(spec.restart)),
      ...given("LogDriver", spec.logging && { Name: spec.logging.driver, Options: spec.logging.options }),
      Placement: placement,
      Networks: spec.networks.map((name) => ({
        Target: ids.networks.get(name) ?? "",
        ...given("Aliases", Object.hasOwn(spec.networkAliases, name) ? spec.networkAliases[name] : undefined),
      })),
    },
    Mode: replicas === "global" ? { Global: {} } : { Replicated: { Replicas: replicas } },
    UpdateConfig: {
      Parallelism: spec.update.parallelism,
      ...(spec.update.delay === undefined ? {} : { Delay: toNanoseconds(spec.update.delay) }),
      FailureAction: "pause",
      ...given("MaxFailureRatio", spec.update.maxFailureRatio),
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

function toContainer({ spec, pinned, ids, stack, volumeLabels = {} }: Definition): JsonObject {
  const ofStack = stack === undefined ? {} : { [STACK]: stack };
  return {
    Image: pinned,
    ...given("Command", spec.entrypoint),
    ...given("Args", spec.command),
    ...given("User", spec.user),
    ...given("Dir", spec.workingDirectory),
    ...given("Hostname", spec.hostname),
    Labels: { ...spec.containerLabels, ...ofStack },
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    ReadOnly: spec.readOnly,
    Mounts: spec.mounts.map((mount) => toMount(mount, ofStack, volumeLabels)),
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
    ...given("Init", spec.init),
    ...given("StopSignal", spec.stopSignal),
    ...(spec.tty ? { TTY: true } : {}),
    ...(spec.openStdin ? { OpenStdin: true } : {}),
    ...givenList("Hosts", spec.hosts.map(toHost)),
    ...given(
      "DNSConfig",
      spec.dns && { Nameservers: spec.dns.servers, Search: spec.dns.search, Options: spec.dns.options },
    ),
    ...(Object.keys(spec.sysctls).length > 0 ? { Sysctls: spec.sysctls } : {}),
    ...givenList(
      "Ulimits",
      Object.entries(spec.ulimits).map(([name, { soft, hard }]) => ({ Name: name, Soft: soft, Hard: hard })),
    ),
  };
}

const given = (name: string, value: Json | undefined): JsonObject => (value === undefined ? {} : { [name]: value });

const givenList = (name: string, entries: readonly Json[]): JsonObject =>
  entries.length === 0 ? {} : { [name]: entries };

/** `db:10.0.0.1` → `10.0.0.1 db`, as in a hosts file. */
function toHost(host: string): string {
  const at = host.indexOf(":");
  return `${host.slice(at + 1)} ${host.slice(0, at)}`;
}

/** @param ofStack labels of a volume that the stack has of its own */
function toMount(mount: ServiceSpec["mounts"][number], ofStack: JsonObject, volumeLabels: JsonObject): JsonObject {
  const { type, target } = mount;
  if (mount.type === "tmpfs") {
    const options = { ...given("SizeBytes", mount.sizeBytes), ...given("Mode", mount.mode) };
    return { Type: type, Target: target, ...(Object.keys(options).length > 0 ? { TmpfsOptions: options } : {}) };
  }
  const plain = { Type: type, ...given("Source", mount.source), Target: target, ReadOnly: mount.readOnly };
  if (mount.type === "bind") return plain;
  const options = {
    ...given("Labels", toVolumeLabels(mount, ofStack, volumeLabels)),
    ...(mount.noCopy ? { NoCopy: true } : {}),
    ...given("DriverConfig", mount.driver && { Name: mount.driver }),
  };
  return { ...plain, ...(Object.keys(options).length > 0 ? { VolumeOptions: options } : {}) };
}

/** One without a name is a new one for every task, and nobody else's to mount. */
function toVolumeLabels(
  { labels, source }: { labels?: Readonly<Record<string, string>> | undefined; source?: string | undefined },
  ofStack: JsonObject,
  volumeLabels: JsonObject,
): JsonObject | undefined {
  const all = { ...(labels && { ...labels, ...ofStack }), ...(source === undefined ? {} : volumeLabels) };
  return Object.keys(all).length === 0 ? undefined : all;
}

function toMounted({ source, target = source, uid, gid, mode }: ServiceSpec["secrets"][number]): JsonObject {
  return { File: { Name: target, UID: uid, GID: gid, Mode: mode } };
}

function toHealth({ test, interval, timeout, startPeriod, retries }: NonNullable<ServiceSpec["health"]>): JsonObject {
  return {
    ...given("Test", test),
    ...given("Interval", interval && toNanoseconds(interval)),
    ...given("Timeout", timeout && toNanoseconds(timeout)),
    ...given("StartPeriod", startPeriod && toNanoseconds(startPeriod)),
    ...given("Retries", retries),
  };
}

function toRestart({ condition, delay, maxAttempts, window }: NonNullable<ServiceSpec["restart"]>): JsonObject {
  return {
    ...{ Condition: condition, Delay: toNanoseconds(delay), MaxAttempts: maxAttempts },
    ...given("Window", window && toNanoseconds(window)),
  };
}

function toResources({ limits, reservations }: ServiceSpec): JsonObject {
  const generic = reservations.generic.map(({ kind, value }) => ({
    DiscreteResourceSpec: { Kind: kind, Value: value },
  }));
  return {
    Limits: { ...toAmount(limits), ...given("Pids", limits.pids) },
    Reservations: { ...toAmount(reservations), ...givenList("GenericResources", generic) },
  };
}

function toAmount({ cpus, memoryBytes }: Pick<ServiceSpec["limits"], "cpus" | "memoryBytes">): JsonObject {
  return { ...given("NanoCPUs", cpus && Math.round(cpus * 1e9)), ...given("MemoryBytes", memoryBytes) };
}

const NANOSECONDS: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, m: 60e9, h: 3600e9, d: 86_400e9 };

/** `5s` → 5,000,000,000. */
function toNanoseconds(span: string): number {
  const [, count, unit = "s"] = /^(\d+)(\D+)$/.exec(span) ?? [];
  return Number(count) * (NANOSECONDS[unit] ?? 0);
}
