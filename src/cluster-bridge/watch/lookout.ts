import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import type { NodeState } from "../cluster-states.ts";
import type { Engines } from "../engines.ts";
import { type HeldService, toService } from "../swarm.ts";
import { keyOf, NODE_MS, type Node, NodeLooks, type SeenContainer, whyUnseen } from "./node-looks.ts";

export interface SeenService extends HeldService {
  readonly name: string;
  readonly labels: JsonObject;
}

/** What was there at one time. */
export interface Sight {
  readonly services: readonly SeenService[];
  /** The service's id by `node/container`: what the managers know of. */
  readonly tasks: ReadonlyMap<string, string>;
  readonly containers: readonly SeenContainer[];
  readonly nodes: readonly NodeState[];
}

const MANAGER_MS = 20_000;
const REFRESH_MS = 20_000;

export interface LookoutTools {
  /** Milliseconds since some moment, however the clock is set meanwhile. */
  readonly elapsedMs: () => number;
  /** For all that is asked of one node at once; default 4 s. */
  readonly nodeMs?: number;
}

/** Looks at the managers, and at every node's own engine: what somebody started there no manager knows of. */
export class Lookout {
  readonly #engines: Engines;
  readonly #elapsedMs: () => number;
  readonly #nodeLooks: NodeLooks;
  #nodes: readonly Node[] = [];
  #refreshedMs: number | undefined;

  constructor(engines: Engines, { elapsedMs, nodeMs = NODE_MS }: LookoutTools) {
    [this.#engines, this.#elapsedMs, this.#nodeLooks] = [engines, elapsedMs, new NodeLooks(engines, nodeMs)];
  }

  /** @throws BridgeError SILENT, ENGINE where no manager answers */
  async look(): Promise<Sight> {
    const manager = this.#engines.manager();
    const get = (path: string) => manager.list(path, { timeoutMs: MANAGER_MS });
    // A node that falls silent may be the manager that is asked: both are waited for at the same time.
    const begun = new Map(this.#nodes.map((node) => [nameOf(node), this.#nodeLooks.look(node)]));
    const [listed] = await Promise.all([get("/nodes"), ...begun.values()]);
    this.#nodes = listed.map(toNode);
    await this.#refresh();
    // The nodes first: what is started between the two is in both, or will be in the next look.
    const looks = await Promise.all(this.#nodes.map((node) => begun.get(nameOf(node)) ?? this.#nodeLooks.look(node)));
    const [services, tasks] = await Promise.all([get("/services"), get("/tasks")]);
    this.#nodeLooks.forgetAllBut(looks);
    return {
      services: services.map(toSeenService),
      tasks: new Map(tasks.flatMap(toTaskEntry)),
      containers: looks.flatMap(({ containers }) => containers),
      nodes: looks.map(({ node }) => node),
    };
  }

  /**
   * Who is which node is asked anew now and then, and when somebody is not known. Only the first look, which knows nobody, waits
   * for it: one that is silent must not keep the others waiting.
   */
  async #refresh(): Promise<void> {
    const isFirst = this.#refreshedMs === undefined;
    const ageMs = this.#elapsedMs() - (this.#refreshedMs ?? Number.NEGATIVE_INFINITY);
    const isUnclear = this.#nodes.some((node) => whyUnseen(this.#engines, node) !== undefined);
    if (ageMs <= (isUnclear ? REFRESH_MS / 10 : REFRESH_MS)) return;
    this.#refreshedMs = this.#elapsedMs();
    const asked = this.#engines.refresh();
    if (isFirst) await asked;
  }
}

const nameOf = ({ id, hostname }: Node): string => `${id} ${hostname}`;

function toNode({ ID, Description }: JsonObject): Node {
  return { id: String(ID), hostname: String(isJsonObject(Description) ? Description.Hostname : "") };
}

function toSeenService(wire: JsonObject): SeenService {
  const held = toService(wire);
  const { Name, Labels } = held.spec;
  return { ...held, name: String(Name), labels: isJsonObject(Labels) ? Labels : {} };
}

function toTaskEntry({ NodeID, ServiceID, Status }: JsonObject): [string, string][] {
  const { ContainerStatus } = isJsonObject(Status) ? Status : {};
  const id = isJsonObject(ContainerStatus) ? ContainerStatus.ContainerID : undefined;
  return typeof id === "string" ? [[keyOf(String(NodeID), id), String(ServiceID)]] : [];
}
