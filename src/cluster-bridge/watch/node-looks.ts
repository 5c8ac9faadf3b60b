import { setTimeout as delay } from "node:timers/promises";
import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import type { NodeState } from "../cluster-states.ts";
import type { EngineClient } from "../engine-client.ts";
import type { Engines } from "../engines.ts";
import { toRefusal } from "../errors.ts";
import { mapLimited } from "./map-limited.ts";

/** A running container, as its own node's engine shows it. */
export interface SeenContainer {
  readonly id: string;
  readonly name: string;
  /** The node's id. */
  readonly node: string;
  /** `.Config.Image`: as whoever started it named it. */
  readonly image: string;
  /** `.Image`: what it was made of. */
  readonly imageId: string;
  /** What it says itself, which anybody can make it say. */
  readonly claimsService: string | undefined;
}

export type Node = Pick<NodeState, "id" | "hostname">;

export interface NodeLook {
  readonly node: NodeState;
  /** None where it is unseen. */
  readonly containers: readonly SeenContainer[];
}

export const keyOf = (node: string, container: string): string => `${node}/${container}`;

/** All that is asked of one node at once. */
export const NODE_MS = 4_000;
/** So long a look waits for a node that did not answer the last time. */
const GRACE_MS = 200;
/** Of one engine at once. */
const INSPECTIONS = 8;

/**
 * Looks at nodes, each by its own engine. One that falls silent keeps one look waiting, for {@link NODE_MS}; from then on it is
 * asked beside the looks, until it answers again.
 */
export class NodeLooks {
  readonly #engines: Engines;
  readonly #nodeMs: number;
  /** What does not change while a container runs, by node and container. */
  readonly #inspected = new Map<string, SeenContainer>();
  readonly #last = new Map<string, NodeLook>();
  readonly #asking = new Map<string, Promise<NodeLook>>();

  constructor(engines: Engines, nodeMs: number) {
    [this.#engines, this.#nodeMs] = [engines, nodeMs];
  }

  async look(node: Node): Promise<NodeLook> {
    const engine = this.#engines.find(node);
    const why = whyUnseen(this.#engines, node);
    if (engine === undefined || why !== undefined) return unseen(node, why ?? "");
    const asked = this.#ask(node, engine.client);
    const last = this.#last.get(node.id);
    if (last?.node.state !== "unseen") return asked;
    return Promise.race([asked, delay(GRACE_MS, last, { ref: false })]);
  }

  /** Nodes that left, and containers that ended, are remembered no more. What ended on a node that is unseen nobody knows. */
  forgetAllBut(looks: readonly NodeLook[]): void {
    const states = new Map(looks.map(({ node }) => [node.id, node.state]));
    for (const id of this.#last.keys()) if (!states.has(id)) this.#last.delete(id);
    const running = new Set(looks.flatMap(({ containers }) => containers.map(({ node, id }) => keyOf(node, id))));
    for (const [key, { node }] of this.#inspected)
      if (!running.has(key) && states.get(node) !== "unseen") this.#inspected.delete(key);
  }

  /** Once at a time. */
  #ask(node: Node, engine: EngineClient): Promise<NodeLook> {
    const underway = this.#asking.get(node.id);
    if (underway !== undefined) return underway;
    const asked = this.#read(node, engine).finally(() => this.#asking.delete(node.id));
    this.#asking.set(node.id, asked);
    return asked;
  }

  async #read(node: Node, engine: EngineClient): Promise<NodeLook> {
    const look = await this.#readContainers(node.id, engine).then(
      (containers): NodeLook => ({ node: { ...idOf(node), state: "seen", reason: "" }, containers }),
      (error: unknown) => unseen(node, `its engine: ${toRefusal(error).reason}`),
    );
    this.#last.set(node.id, look);
    return look;
  }

  async #readContainers(node: string, engine: EngineClient): Promise<SeenContainer[]> {
    const endsMs = performance.now() + this.#nodeMs;
    const left = () => ({ timeoutMs: Math.max(1, Math.ceil(endsMs - performance.now())) });
    const running = await engine.list("/containers/json", left());
    const inspect = (listed: JsonObject) => this.#inspect(node, listed, (path) => engine.findObject(path, left()));
    const found = await mapLimited(running, INSPECTIONS, inspect);
    return found.filter((container) => container !== undefined);
  }

  /** One that runs and cannot be read is nothing that was ordered; it is never left out. */
  async #inspect(
    node: string,
    listed: JsonObject,
    find: (path: string) => Promise<JsonObject | undefined>,
  ): Promise<SeenContainer | undefined> {
    const id = String(listed.Id);
    const known = this.#inspected.get(keyOf(node, id));
    if (known !== undefined) return known;
    try {
      const inspected = await find(`/containers/${id}/json`);
      const container = inspected && toContainer(node, id, inspected);
      // Kept at once: where there are more than one look has the time for, the next one goes on.
      if (container !== undefined && container.imageId !== "") this.#inspected.set(keyOf(node, id), container);
      return container;
    } catch (error) {
      if (toRefusal(error).code !== "ENGINE") throw error;
      const [Name = ""] = Array.isArray(listed.Names) ? listed.Names : [];
      return toContainer(node, id, { Name, Config: { Labels: listed.Labels } });
    }
  }
}

const idOf = ({ id, hostname }: Node): Node => ({ id, hostname });

function unseen(node: Node, reason: string): NodeLook {
  return { node: { ...idOf(node), state: "unseen", reason }, containers: [] };
}

/** Undefined: its engine is known to be its own. */
export function whyUnseen(engines: Engines, node: Node): string | undefined {
  const engine = engines.find(node);
  if (engine === undefined) return "no engine is configured for it";
  const { facts, name } = engine;
  if (facts === undefined) return `its engine, ${name}, has not answered yet`;
  if (facts.nodeId !== node.id) return `the engine ${name} says that it is ${facts.hostname}, ${facts.nodeId}`;
  return undefined;
}

function toContainer(node: string, id: string, { Name, Image, Config }: JsonObject): SeenContainer {
  const config = isJsonObject(Config) ? Config : {};
  const labels = isJsonObject(config.Labels) ? config.Labels : {};
  const claim = labels["com.docker.swarm.service.id"];
  return {
    ...{ id, node, name: String(Name ?? "").replace(/^\//, "") },
    ...{ image: String(config.Image ?? ""), imageId: String(Image ?? "") },
    claimsService: typeof claim === "string" ? claim : undefined,
  };
}
