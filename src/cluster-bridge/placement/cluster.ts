/** A node as whoever chooses among them sees it. */
export interface Node {
  readonly id: string;
  readonly hostname: string;
  readonly role: string;
  /** `linux`. */
  readonly os: string;
  /** As the node says it: `x86_64`. */
  readonly arch: string;
  readonly labels: ReadonlyMap<string, string>;
  /** What the node's own engine says of it. */
  readonly engineLabels: ReadonlyMap<string, string>;
  /** Why nothing starts there now: `down`, `drain`, `pause`, …; undefined: it is ready. */
  readonly away: string | undefined;
  readonly volumeDrivers: ReadonlySet<string>;
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  /** What else it says it has, by kind: `gpu`. */
  readonly generic: ReadonlyMap<string, number>;
}

/** A task that is to run on a node, and what it keeps from others. */
export interface Occupant {
  /** Id. */
  readonly node: string;
  /** Id. */
  readonly service: string;
  readonly nanoCpus: number;
  readonly memoryBytes: number;
  readonly generic: ReadonlyMap<string, number>;
  /** Of the node itself: `8080/tcp`. */
  readonly hostPorts: readonly string[];
}

export interface Cluster {
  /** By hostname, then id. */
  readonly nodes: readonly Node[];
  readonly occupants: readonly Occupant[];
}

/** Alike in all clusters: by what people call a node first. */
export function byName(one: Node, other: Node): number {
  if (one.hostname !== other.hostname) return one.hostname < other.hostname ? -1 : 1;
  return one.id < other.id ? -1 : Number(one.id > other.id);
}
