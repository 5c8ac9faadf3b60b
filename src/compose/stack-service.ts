import type { JsonObject } from "../oci/json.ts";
import type { DeploySection } from "./deploy-section.ts";
import { given, givenSpan } from "./given.ts";
import type { Mount } from "./mounts.ts";
import type { ServiceSection } from "./service-section.ts";

/** What is around a service in its file. */
export interface Surroundings {
  fault(path: string, why: string): void;
  note(path: string, what: string): void;
  /** Of whoever deploys. */
  variable(name: string): string | undefined;
  /** A file beside the compose file; empty where it cannot be read, which is a fault then. */
  read(path: string, file: string): Buffer;
  /** Something else of the file is named at `path`. */
  refer(kind: "networks" | "volumes" | "secrets" | "configs", name: string, path: string): void;
}

/** A service as `serviceSchema` of the bridge has it, without its name; what it names are entries of the stack. */
export function toService(name: string, section: ServiceSection, around: Surroundings): JsonObject {
  const path = `services.${name}`;
  for (const kind of ["secrets", "configs"] as const)
    for (const [index, { source }] of section[kind].entries()) around.refer(kind, source, `${path}.${kind}.${index}`);
  return {
    image: section.image,
    ...given("entrypoint", section.entrypoint),
    ...given("command", section.command),
    ...given("user", section.user),
    ...given("workingDirectory", section.working_dir),
    ...given("hostname", section.hostname),
    ...given("env", toEnv(path, section, around)),
    ...given("labels", section.deploy?.labels),
    ...given("containerLabels", section.labels),
    ...given("secrets", section.secrets.map(toMounted)),
    ...given("configs", section.configs.map(toMounted)),
    ...given(
      "ports",
      section.ports.map((port) => ({ ...port })),
    ),
    ...toNetworks(path, section, around),
    ...given("mounts", toMounts(path, section, around)),
    ...given("capabilities", { ...given("add", section.cap_add), ...given("drop", section.cap_drop) }),
    ...given("readOnly", section.read_only),
    ...given("health", toHealth(path, section, around)),
    ...givenSpan("stopGrace", section.stop_grace_period),
    ...given("stopSignal", section.stop_signal),
    ...given("init", section.init),
    ...given("tty", section.tty),
    ...given("openStdin", section.stdin_open),
    ...given("hosts", section.extra_hosts),
    ...given("dns", {
      ...given("servers", section.dns),
      ...given("search", section.dns_search),
      ...given("options", section.dns_opt),
    }),
    ...given("sysctls", section.sysctls),
    ...given("ulimits", section.ulimits),
    ...given(
      "logging",
      section.logging && { ...given("driver", section.logging.driver), ...given("options", section.logging.options) },
    ),
    ...toDeployment(`${path}.deploy`, section.deploy, around),
  };
}

/** What files say, and over it what stands in the compose file. A variable without a value is that of whoever deploys, if it is set. */
function toEnv(
  path: string,
  { environment, env_file: files }: ServiceSection,
  around: Surroundings,
): Record<string, string> {
  const lines = files.flatMap((file, index) => readEnvFile(`${path}.env_file.${index}`, file, around));
  const all = [...lines, ...Object.entries(environment)];
  const known = all.map(([name, value]) => [name, value ?? around.variable(name)] as const);
  return Object.fromEntries(known.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

/** Lines `NAME=value`, as they are; docker's format, which knows no quotes. */
function readEnvFile(path: string, file: string, around: Surroundings): [string, string | undefined][] {
  const lines = around
    .read(path, file)
    .toString()
    .replace(/^\ufeff/, "")
    .split(/\r?\n/);
  const meant = lines.map((line) => line.trimStart()).filter((line) => line !== "" && !line.startsWith("#"));
  return meant.map((line) => {
    const at = line.indexOf("=");
    return at < 0 ? [line.trimEnd(), undefined] : [line.slice(0, at), line.slice(at + 1)];
  });
}

function toMounted({ source, ...rest }: ServiceSection["secrets"][number]): JsonObject {
  const { target, uid, gid, mode } = { target: undefined, uid: undefined, gid: undefined, mode: undefined, ...rest };
  return { source, ...given("target", target), ...given("uid", uid), ...given("gid", gid), ...given("mode", mode) };
}

function toNetworks(path: string, { networks = {} }: ServiceSection, around: Surroundings): JsonObject {
  const names = Object.keys(networks).length === 0 ? ["default"] : Object.keys(networks);
  for (const name of names) around.refer("networks", name, `${path}.networks.${name}`);
  const aliases = Object.entries(networks).flatMap(([name, member]) =>
    member.aliases.length > 0 ? [[name, member.aliases]] : [],
  );
  return { networks: names, ...given("networkAliases", Object.fromEntries(aliases)) };
}

function toMounts(path: string, { volumes, tmpfs }: ServiceSection, around: Surroundings): JsonObject[] {
  for (const [index, mount] of volumes.entries()) {
    if (mount.type === "volume" && mount.source !== undefined)
      around.refer("volumes", mount.source, `${path}.volumes.${index}`);
  }
  return [...volumes, ...tmpfs].map(toMount);
}

function toMount(mount: Mount): JsonObject {
  if (mount.type === "tmpfs") return { ...mount };
  const { readOnly, ...rest } = mount;
  const { noCopy, ...others } = { noCopy: false, ...rest };
  return { ...others, ...(readOnly ? { readOnly } : {}), ...(noCopy ? { noCopy } : {}) };
}

function toHealth(path: string, { healthcheck }: ServiceSection, around: Surroundings): JsonObject | undefined {
  if (healthcheck === undefined) return undefined;
  const { test, interval, timeout, start_period: startPeriod, retries, disable } = healthcheck;
  if (disable === true) {
    if (test !== undefined) around.fault(`${path}.healthcheck.test`, "the health check is disabled");
    return { test: ["NONE"] };
  }
  const spans = {
    ...givenSpan("interval", interval),
    ...givenSpan("timeout", timeout),
    ...givenSpan("startPeriod", startPeriod),
  };
  return { ...given("test", test), ...spans, ...given("retries", retries) };
}

function toDeployment(path: string, deploy: DeploySection | undefined, around: Surroundings): JsonObject {
  if (deploy === undefined) return {};
  const { mode, replicas, resources, restart_policy: restart, placement } = deploy;
  if (mode === "global" && replicas !== undefined) around.fault(`${path}.replicas`, "global is one on every node");
  const { limits, reservations } = resources ?? {};
  noteFailures(path, deploy, around);
  return {
    ...given("replicas", mode === "global" ? "global" : replicas),
    ...given("endpointMode", deploy.endpoint_mode),
    ...given("limits", {
      ...given("cpus", limits?.cpus),
      ...given("memoryBytes", limits?.memory),
      ...given("pids", limits?.pids),
    }),
    ...given("reservations", {
      ...given("cpus", reservations?.cpus),
      ...given("memoryBytes", reservations?.memory),
      ...given(
        "generic",
        reservations?.generic_resources?.map((one) => ({ ...one })),
      ),
    }),
    ...given(
      "restart",
      restart && {
        ...given("condition", restart.condition),
        ...given("delay", restart.delay),
        ...given("maxAttempts", restart.max_attempts),
        ...givenSpan("window", restart.window),
      },
    ),
    ...given("update", toPace(deploy.update_config)),
    ...given("rollback", toPace(deploy.rollback_config)),
    ...given("constraints", placement?.constraints),
    ...given("maxPerNode", placement?.max_replicas_per_node),
    ...toSpread(path, placement?.preferences ?? [], around),
  };
}

/** Whatever fails is paused, and the bridge takes it one step back. */
function noteFailures(path: string, deploy: DeploySection, around: Surroundings): void {
  const itself = "the bridge itself rolls back what fails, to the newest that verifies then";
  if (deploy.update_config?.failure_action === "pause") around.note(`${path}.update_config.failure_action`, itself);
  if (deploy.rollback_config?.failure_action === "continue")
    around.note(`${path}.rollback_config.failure_action`, "a step back that fails is paused");
}

type Pace = DeploySection["update_config"] | DeploySection["rollback_config"];

function toPace(pace: Pace): JsonObject {
  return {
    ...given("parallelism", pace?.parallelism),
    ...givenSpan("delay", pace?.delay),
    ...givenSpan("monitor", pace?.monitor),
    ...given("maxFailureRatio", pace?.max_failure_ratio),
    ...given("order", pace?.order),
  };
}

function toSpread(path: string, preferences: readonly { readonly spread: string }[], around: Surroundings): JsonObject {
  const [first, second] = preferences;
  if (first === undefined) return {};
  if (second !== undefined) around.fault(`${path}.placement.preferences.1`, "the bridge spreads over one label");
  const [, label] = /^node\.labels\.(.+)$/.exec(first.spread) ?? [];
  if (label === undefined)
    around.fault(`${path}.placement.preferences.0.spread`, "the bridge spreads over labels of nodes: node.labels.zone");
  return { strategy: "spread", ...given("spreadOver", label) };
}
