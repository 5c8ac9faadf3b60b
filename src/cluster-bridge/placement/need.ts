import { type Constraint, findContradiction, isSameConstraint, toText } from "../../trust/constraint.ts";
import type { PlacementRules } from "../../trust/policy-document.ts";
import { BridgeError } from "../errors.ts";
import type { ServiceSpec } from "../service-spec.ts";

/** What an image can run on, as the engine compares it: nothing said is anything. */
export interface Platform {
  readonly os: string;
  readonly arch: string;
}

/** What one task of a service asks of its node. */
export interface Need {
  readonly service: string;
  readonly constraints: readonly Constraint[];
  /** None: nobody knows, so that all will do. */
  readonly platforms: readonly Platform[];
  readonly volumeDrivers: readonly string[];
  readonly usernsOnly: boolean;
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly generic: ReadonlyMap<string, number>;
  /** `8080/tcp`. */
  readonly hostPorts: readonly string[];
  /** 0: as many as fit. */
  readonly maxPerNode: number;
}

/** By this label the bridge tells nodes whose engine says that it maps users; constraints go by it. */
export const USERNS_LABEL = "goldseal.userns";
export const USERNS = "on";

/**
 * What the service asks for, with what its environment makes it ask for.
 * @throws BridgeError PLACEMENT where it does not ask for what it has to, or for what no node can be
 */
export function toNeed(
  spec: ServiceSpec,
  rules: PlacementRules,
  { environment, platforms }: { readonly environment: string; readonly platforms: readonly Platform[] },
): Need {
  const constraints = mergeConstraints(spec, rules, environment);
  return {
    ...{ service: spec.name, constraints, platforms, usernsOnly: rules.usernsOnly, maxPerNode: spec.maxPerNode },
    volumeDrivers: [...new Set(spec.mounts.flatMap((mount) => (mount.type === "volume" ? (mount.driver ?? []) : [])))],
    nanoCpus: Math.round((spec.reservations.cpus ?? 0) * 1e9),
    memoryBytes: spec.reservations.memoryBytes ?? 0,
    generic: new Map(spec.reservations.generic.map(({ kind, value }) => [kind, value])),
    hostPorts: spec.ports.flatMap(({ mode, published, protocol }) =>
      mode === "host" && published !== undefined ? [`${published}/${protocol}`] : [],
    ),
  };
}

function mergeConstraints(spec: ServiceSpec, { require, inject }: PlacementRules, environment: string): Constraint[] {
  const has = (wanted: Constraint): boolean => spec.constraints.some((own) => isSameConstraint(own, wanted));
  const missing = require.filter((wanted) => !has(wanted)).map(toText);
  if (missing.length > 0)
    throw refusal(`${environment} wants every service to ask for ${missing.join(" and ")} among its constraints`);
  const all = [...spec.constraints, ...inject.filter((wanted) => !has(wanted))];
  const [one, other] = findContradiction(all) ?? [];
  if (one !== undefined && other !== undefined)
    throw refusal(`no node can be both ${toText(one)} and ${toText(other)}`);
  return all;
}

export const usernsConstraint: Constraint = { key: `node.labels.${USERNS_LABEL}`, operator: "==", value: USERNS };

export const refusal = (reason: string): BridgeError => new BridgeError("PLACEMENT", reason);
