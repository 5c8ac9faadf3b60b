/**
 * What runs, against what was ordered and what is signed now. `trusted`: as ordered, and the required people's signatures
 * count; `trust-lost`: as ordered, and they count no more; `drifted`: something else than was ordered; `unmanaged`: the
 * bridge did not make it, or somebody rolled it back by hand; `unknown`: nobody can say now (registry away, clock in doubt),
 * and nothing is done about it.
 */
export type State = "trusted" | "trust-lost" | "drifted" | "unmanaged" | "unknown";

interface Judged {
  readonly state: State;
  /** A sentence; where it is `trusted` mostly empty. */
  readonly reason: string;
  /** When this bridge saw it so first. */
  readonly since: Date;
}

export interface ServiceState extends Judged {
  readonly id: string;
  readonly name: string;
  /** Undefined: of none, the bridge did not make it. */
  readonly environment: string | undefined;
  /** What it should run: `host:port/org/app@sha256:…`; undefined: the bridge did not make it. */
  readonly pinned: string | undefined;
}

export interface ContainerState extends Judged {
  readonly id: string;
  readonly name: string;
  /** The node's id. */
  readonly node: string;
  /** The service's id; undefined: it is of none, whatever it says. */
  readonly service: string | undefined;
  readonly environment: string | undefined;
  /** As whoever started it named it. */
  readonly image: string;
}

export interface NodeState {
  readonly id: string;
  readonly hostname: string;
  /** `unseen`: its engine was not asked, or did not answer: what runs there is not known. */
  readonly state: "seen" | "unseen";
  readonly reason: string;
}

export interface States {
  /** Of the last look in which a manager answered; undefined: none yet. */
  readonly lookedAt: Date | undefined;
  readonly services: readonly ServiceState[];
  readonly containers: readonly ContainerState[];
  readonly nodes: readonly NodeState[];
}

/** Where the watch leaves what it saw last, for whoever shows it. */
export class ClusterStates {
  #last: States = { lookedAt: undefined, services: [], containers: [], nodes: [] };

  states(): States {
    return this.#last;
  }

  put(states: States): void {
    this.#last = states;
  }
}
