import { isJsonObject, type JsonObject } from "../../oci/json.ts";
import type { NodeState } from "../cluster-states.ts";
import type { EngineClient } from "../engine-client.ts";
import type { Engines } from "../engines.ts";
import { toRefusal } from "../errors.ts";
import { type HeldService, toService } from "../swarm.ts";
import { mapLimited } from "./map-limited.ts";

export interface SeenService extends HeldService {
  readonly name: string;
  readonly labels: JsonObject;
}

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

/** What was there at one time. */
export interface Sight {
  readonly services: readonly SeenService[];
  /** The service's id by `node/container`: what the managers know of. */
  readonly tasks: ReadonlyMap<string, string>;
  readonly containers: readonly SeenContainer[];
  readonly nodes: readonly NodeState[];
}

export const keyOf = (node: string, container: string): string => `${node}/${container}`;

const MANAGER_MS = 20_000;
/** A node that is slow is unseen for once; the others are not kept waiting. */
const NODE_MS = 4_000;
/** Of one engine at once. */
const INSPECTIONS = 8;
const REFRESH_MS = 20_000;

/** Looks at the managers, and at every node's own engine: what somebody started there no manager knows of. */
export class Lookout {
  readonly #engines: Engines;
  /** What does not change while a container runs, by node and container. */
  #inspected = new Map<string, SeenContainer>();
  #refreshedMs = Number.NEGATIVE_INFINITY;

  constructor(engines: Engines) {
    this.#engines = engines;
  }

  /** @throws BridgeError SILENT, ENGINE where no manager answers */
  async look(): Promise<Sight> {
    const manager = this.#engines.manager();
    const get = (path: string) => manager.list(path, { timeoutMs: MANAGER_MS });
    const nodes = (await get("/nodes")).map(toNode);
    await this.#refresh(nodes);
    // The nodes first: what is started between the two is in both, or will be in the next look.
    const looks = await Promise.all(nodes.map((node) => this.#lookAtNode(node)));
    const [services, tasks] = await Promise.all([get("/services"), get("/tasks")]);
    const containers = looks.flatMap(({ containers }) => containers);
    const read = containers.filter(({ imageId }) => imageId !== "");
    this.#inspected = new Map(read.map((container) => [keyOf(container.node, container.id), container]));
    return {
      services: services.map(toSeenService),
      tasks: new Map(tasks.flatMap(toTaskEntry)),
      containers,
      nodes: looks.map(({ node }) => node),
    };
  }

  /** Who is which node is asked anew now and then, and when somebody is not known. */
  async #refresh(nodes: readonly Node[]): Promise<void> {
    const isDue = performance.now() - this.#refreshedMs > REFRESH_MS;
    const isUnclear = nodes.some((node) => whyUnseen(this.#engines, node) !== undefined);
    if (!isDue && !(isUnclear && performance.now() - this.#refreshedMs > REFRESH_MS / 10)) return;
    await this.#engines.refresh();
    this.#refreshedMs = performance.now();
  }

  async #lookAtNode(node: Node): Promise<{ readonly node: NodeState; readonly containers: SeenContainer[] }> {
    const { id, hostname } = node;
    const engine = this.#engines.find(node);
    const why = whyUnseen(this.#engines, node);
    if (engine === undefined || why !== undefined)
      return { node: { id, hostname, state: "unseen", reason: why ?? "" }, containers: [] };
    try {
      const containers = await this.#readContainers(id, engine.client);
      return { node: { id, hostname, state: "seen", reason: "" }, containers };
    } catch (error) {
      const { reason } = toRefusal(error);
      return { node: { id, hostname, state: "unseen", reason: `its engine: ${reason}` }, containers: [] };
    }
  }

  async #readContainers(node: string, engine: EngineClient): Promise<SeenContainer[]> {
    const running = await engine.list("/containers/json", { timeoutMs: NODE_MS });
    const found = await mapLimited(running, INSPECTIONS, (listed) => this.#inspect(node, listed, engine));
    return found.filter((container) => container !== undefined);
  }

  /** One that runs and cannot be read is nothing that was ordered; it is never left out. */
  async #inspect(node: string, listed: JsonObject, engine: EngineClient): Promise<SeenContainer | undefined> {
    const id = String(listed.Id);
    const known = this.#inspected.get(keyOf(node, id));
    if (known !== undefined) return known;
    try {
      const inspected = await engine.findObject(`/containers/${id}/json`, { timeoutMs: NODE_MS });
      return inspected && toContainer(node, id, inspected);
    } catch (error) {
      if (toRefusal(error).code !== "ENGINE") throw error;
      const [Name = ""] = Array.isArray(listed.Names) ? listed.Names : [];
      return toContainer(node, id, { Name, Config: { Labels: listed.Labels } });
    }
  }
}

type Node = Pick<NodeState, "id" | "hostname">;

function toNode({ ID, Description }: JsonObject): Node {
  return { id: String(ID), hostname: String(isJsonObject(Description) ? Description.Hostname : "") };
}

function whyUnseen(engines: Engines, node: Node): string | undefined {
  const engine = engines.find(node);
  if (engine === undefined) return "no engine is configured for it";
  const { facts, name } = engine;
  if (facts === undefined) return `its engine, ${name}, has not answered yet`;
  if (facts.nodeId !== node.id) return `the engine ${name} says that it is ${facts.hostname}, ${facts.nodeId}`;
  return undefined;
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
