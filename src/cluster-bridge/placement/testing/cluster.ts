/** Clusters of a few lines, in which a test changes one thing. */
import { parseServiceSpec, type ServiceSpec } from "../../service-spec.ts";
import type { Node, Occupant } from "../cluster.ts";
import type { Surroundings } from "../fitness.ts";
import { type Need, toNeed } from "../need.ts";

const GIB = 1024 ** 3;

/** Two CPUs and 4 GiB. */
export function node(hostname: string, { labels = {}, ...more }: Partial<Omit<Node, "labels">> & Labels = {}): Node {
  return {
    ...{ id: `id-${hostname}`, hostname, role: "worker", os: "linux", arch: "x86_64", away: undefined },
    ...{
      engineLabels: new Map(),
      volumeDrivers: new Set(["local"]),
      nanoCpus: 2e9,
      memoryBytes: 4 * GIB,
      generic: new Map(),
    },
    ...more,
    labels: new Map(Object.entries(labels)),
  };
}

interface Labels {
  readonly labels?: Readonly<Record<string, string>>;
}

/** A task of somebody else's. */
export function occupant(hostname: string, more: Partial<Occupant> = {}): Occupant {
  return {
    node: `id-${hostname}`,
    service: "other",
    nanoCpus: 0,
    memoryBytes: 0,
    generic: new Map(),
    hostPorts: [],
    ...more,
  };
}

export function around(nodes: readonly Node[], more: Partial<Surroundings> = {}): Surroundings {
  return { nodes, occupants: [], withUserns: new Set(), replaces: undefined, ...more };
}

export function spec(more: object = {}): ServiceSpec {
  return parseServiceSpec(Buffer.from(JSON.stringify({ name: "web", image: "r/ops/web:1", ...more })));
}

export function needOf(service: ServiceSpec, more: Partial<Need> = {}): Need {
  const rules = { require: [], inject: [], usernsOnly: false };
  return { ...toNeed(service, rules, { environment: "prod", platforms: [] }), ...more };
}
