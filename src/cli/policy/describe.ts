/** A policy document in words for people. */
import { toText } from "../../trust/constraint.ts";
import type {
  Environment,
  EnvironmentRight,
  PlacementRules,
  PolicyDocument,
  SpecLimits,
} from "../../trust/policy-document.ts";
import type { RequireRow } from "../../trust/require.ts";
import { whoOf } from "../../trust/sentences.ts";

export function describeEnvironment(name: string, environment: Environment, { keys }: PolicyDocument): string[] {
  const { images, require, maxTimestampAgeSeconds: age, operators, specLimits, rights } = environment;
  const owners = [...operators].map((keyId) => `${keys.get(keyId)?.user} (key ${keyId.slice(0, 12)})`);
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ["images", [images.join(", ")]],
    ["signed by", require.map(describeRow)],
    ["freshness", age === undefined ? [] : [`signed by the registry not more than ${describeAge(age)} ago`]],
    ["orders by", [owners.join(", ") || "nobody"]],
    ["services may set", [describeLimits(specLimits)]],
    ["placed", describePlacement(environment.placement)],
    ["trust lost", environment.onTrustLost === "alert" ? [] : [`what runs: ${environment.onTrustLost}`]],
    ["unmanaged", environment.onUnmanaged === "alert" ? [] : [`what runs: ${environment.onUnmanaged}`]],
    ["rights", [...rights].map(([team, right]) => `team ${team} ${describeRight(right)}`)],
  ];
  const width = Math.max(...rows.map(([heading]) => heading.length));
  const lines = rows.flatMap(([heading, texts]) =>
    texts.map((text, index) => `  ${(index === 0 ? heading : "").padEnd(width)}  ${text}`),
  );
  return [`environment ${name}`, ...lines];
}

export function describeRow(row: RequireRow): string {
  return `${whoOf(row)}${row.gun === undefined ? "" : `, in the trust data of ${row.gun}`}`;
}

export function describeRight(right: EnvironmentRight): string {
  return right === "view" ? "may view" : right === "operate" ? "may view and operate" : "may view, operate and deploy";
}

export function describeKey(keyId: string, user: string): string {
  return `key ${keyId}: ${user}`;
}

function describeLimits({
  bindMounts = [],
  capabilities = [],
  secrets = [],
  configs = [],
  sysctls = [],
  logDrivers = [],
  ...flags
}: SpecLimits): string {
  const names = Object.entries(flags).flatMap(([name, value]) => (value === true ? [name] : []));
  const lists = [
    ...bindMounts.map((path) => `bind mount ${path}`),
    ...capabilities.map((capability) => `capability ${capability}`),
    ...secrets.map((secret) => `secret ${secret}`),
    ...configs.map((config) => `config ${config}`),
    ...sysctls.map((name) => `sysctl ${name}`),
    ...logDrivers.map((driver) => `log driver ${driver}`),
  ];
  return [...names, ...lists].join(", ") || "nothing beside their image";
}

function describePlacement({ require, inject, usernsOnly }: PlacementRules): string[] {
  return [
    ...require.map((constraint) => `services must ask for ${toText(constraint)}`),
    ...inject.map((constraint) => `services get ${toText(constraint)}`),
    ...(usernsOnly ? ["only on nodes with user namespaces"] : []),
  ];
}

function describeAge(seconds: number): string {
  const [unit, of] = seconds % 86_400 === 0 ? ["d", 86_400] : seconds % 3600 === 0 ? ["h", 3600] : ["min", 60];
  return `${seconds / Number(of)} ${unit}`;
}
