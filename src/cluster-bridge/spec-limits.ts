import type { PolicyDocument, SpecLimits } from "../trust/policy-document.ts";
import { BridgeError } from "./errors.ts";
import type { ServiceSpec } from "./service-spec.ts";

/**
 * What was signed is an image; what an order adds to it can make something else of it. All that the environment does not
 * let it say is refused, with everything that is wrong.
 * @throws BridgeError SPEC
 * @see design.md "Orders"
 */
export function requireWithin(spec: ServiceSpec, limits: SpecLimits, environment: string): void {
  const wrong = findExcesses(spec, limits);
  if (wrong.length === 0) return;
  throw new BridgeError("SPEC", `${environment} does not let a service have ${wrong.join(", ")} (specLimits)`);
}

/** What is done without an order keeps to the limits of now, whatever let it run then. @throws BridgeError SPEC */
export function requireWithinNow(spec: ServiceSpec, { environments }: PolicyDocument, environment: string): void {
  requireWithin(spec, environments.get(environment)?.specLimits ?? {}, environment);
}

/** Log drivers that leave what they are told on the node. */
const LOCAL_LOGS: readonly string[] = ["json-file", "local", "journald", "none"];

function findExcesses(spec: ServiceSpec, limits: SpecLimits): string[] {
  const binds = spec.mounts.flatMap((mount) => (mount.type === "bind" ? [mount.source] : []));
  const { bindMounts = [], capabilities = [], secrets = [], configs = [], sysctls = [], logDrivers = [] } = limits;
  const logs = [...LOCAL_LOGS, ...logDrivers];
  const excess = (isToo: boolean, what: string): string[] => (isToo ? [what] : []);
  return [
    ...excess(spec.command !== undefined && limits.command !== true, "a command of its own"),
    // What tells whether a container is healthy is a command in it.
    ...excess(spec.health?.test !== undefined && limits.command !== true, "a health check of its own"),
    ...excess(spec.entrypoint !== undefined && limits.entrypoint !== true, "an entrypoint of its own"),
    ...excess(spec.user !== undefined && limits.user !== true, "a user of its own"),
    ...excess(Object.keys(spec.ulimits).length > 0 && limits.ulimits !== true, "ulimits of its own"),
    ...excess(spec.networks.includes("host") && limits.hostNetwork !== true, "the node's network"),
    ...binds
      .filter((folder) => !bindMounts.some((top) => isWithin(folder, top)))
      .map((folder) => `the node's ${folder}`),
    ...spec.capabilities.add.filter((one) => !capabilities.includes(one)).map((one) => `the capability ${one}`),
    ...spec.secrets.filter(({ source }) => !isListed(source, secrets)).map(({ source }) => `the secret ${source}`),
    // Below /run/secrets it is what its image looks for; anywhere else it is a file of the image, as a config is.
    ...spec.secrets
      .filter(({ source, target = source }) => isElsewhere(target) && !isListed(source, configs))
      .map(({ source, target }) => `the secret ${source} at ${target}`),
    ...spec.configs.filter(({ source }) => !isListed(source, configs)).map(({ source }) => `the config ${source}`),
    ...Object.keys(spec.sysctls)
      .filter((name) => !sysctls.includes(name))
      .map((name) => `the kernel's ${name}`),
    ...[spec.logging?.driver ?? "none"]
      .filter((driver) => !logs.includes(driver))
      .map((driver) => `the log driver ${driver}`),
  ];
}

/** By its name; what stacks bring along has the hash of its content after it. */
function isListed(name: string, list: readonly string[]): boolean {
  return list.includes(name) || list.includes(name.replace(/_[0-9a-f]{16}$/, ""));
}

const isElsewhere = (target: string): boolean => target.includes("/") || target === "." || target === "..";

/** `/srv/data` and what is below it; not `/srv/database`. */
function isWithin(folder: string, top: string): boolean {
  const slashed = (path: string): string => `${path.replace(/\/+/g, "/").replace(/\/$/, "")}/`;
  return slashed(folder).startsWith(slashed(top));
}
