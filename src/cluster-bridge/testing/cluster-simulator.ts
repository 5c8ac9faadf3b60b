/** The engines of a Swarm as the bridge sees them, each on a unix socket: they hold what a test puts there, and what orders make. */
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { Loose } from "../../notary/tuf/testing/loose.ts";
import { type Answer, EngineSocket, type Question } from "./engine-socket.ts";

/** What all managers hold. */
export class ClusterSimulator {
  readonly lists: Record<string, Loose[]> = {};
  readonly nodes: NodeSimulator[] = [];

  constructor() {
    this.reset();
  }

  reset(): void {
    for (const name of ["nodes", "services", "tasks", "networks", "secrets", "configs"]) this.lists[name] = [];
    for (const node of this.nodes) node.reset();
  }

  /** One more engine. Its node is `ready` and `active`. */
  async addNode(name: string, role: "manager" | "worker"): Promise<NodeSimulator> {
    const node = await NodeSimulator.start(this, name, role);
    this.nodes.push(node);
    node.reset();
    return node;
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  add(list: string, ...entries: Loose[]): void {
    this.lists[list]?.push(...entries);
  }
}

/** Answers itself, or returns false. */
export type NodeAttack = (method: string, path: string, response: ServerResponse) => boolean;

export class NodeSimulator {
  readonly id: string;
  readonly name: string;
  readonly role: "manager" | "worker";
  /** `METHOD /path?query`, without the version of the API. */
  readonly asked: string[] = [];
  volumes: Loose[] = [];
  containers: Loose[] = [];
  /** What it says of itself beside its name. */
  info: Loose = {};
  attack: NodeAttack = () => false;
  /** Told what came with each change. */
  onBody: (line: string, body: Loose) => void = () => undefined;
  readonly #cluster: ClusterSimulator;
  readonly #socket: EngineSocket;

  private constructor(cluster: ClusterSimulator, socket: EngineSocket, name: string, role: "manager" | "worker") {
    [this.#cluster, this.#socket, this.name, this.role, this.id] = [cluster, socket, name, role, `id-of-${name}`];
    socket.onQuestion((question, response) => this.#answer(question, response));
  }

  static async start(cluster: ClusterSimulator, name: string, role: "manager" | "worker"): Promise<NodeSimulator> {
    return new NodeSimulator(cluster, await EngineSocket.open(), name, role);
  }

  get socket(): string {
    return this.#socket.path;
  }

  stop(): Promise<void> {
    return this.#socket.close();
  }

  /** As if it had just joined. */
  reset(): void {
    [this.volumes, this.containers, this.info] = [[], [], {}];
    [this.attack, this.onBody] = [() => false, () => undefined];
    this.asked.length = 0;
    this.#cluster.add("nodes", toEntry(this));
  }

  /** As the managers have it. */
  get entry(): Loose {
    const found = this.#cluster.lists.nodes?.find(({ ID }) => ID === this.id);
    if (found === undefined) throw new Error(`${this.name} has left`);
    return found;
  }

  #answer({ method, path, search, query, text }: Question, response: ServerResponse): Answer {
    const body = text === "" ? {} : JSON.parse(text);
    this.asked.push(`${method} ${path}${search}`);
    if (method !== "GET") this.onBody(`${method} ${path}`, body);
    if (this.attack(method, path, response)) return undefined;
    return method === "GET" ? this.#read(path, query) : this.#change(method, path, body);
  }

  #read(path: string, query: URLSearchParams): [number, unknown] {
    const isManager = this.role === "manager";
    const Swarm = { NodeID: this.id, ControlAvailable: isManager };
    if (path === "/info") return [200, { Name: this.name, Swarm, SecurityOptions: [], ...this.info }];
    if (path === "/volumes") return [200, { Volumes: this.volumes, Warnings: null }];
    if (path === "/containers/json") return [200, this.containers];
    if (!isManager) return [503, { message: "This node is not a swarm manager." }];
    if (path === "/swarm") return [200, { TLSInfo: { TrustRoot: "root" } }];
    const list = this.#cluster.lists[path.slice(1)];
    if (list === undefined) return [404, { message: "page not found" }];
    return [200, list.filter((entry) => fits(entry, JSON.parse(query.get("filters") ?? "{}")))];
  }

  #change(method: string, path: string, body: Loose): [number, unknown] {
    const [, list = "", id = "", verb] = /^\/(\w+)\/([^/]+)(?:\/(update))?$/.exec(path) ?? [];
    const entries = this.#cluster.lists[list];
    if (entries === undefined) return [404, { message: "page not found" }];
    if (method === "POST" && id === "create") {
      const made = { ID: randomBytes(12).toString("hex"), CreatedAt: "2026-11-22T00:00:00Z" };
      if (list === "networks") giveAddresses(body);
      entries.push(
        list === "networks" ? { ...body, Id: made.ID, Scope: "swarm" } : { ...made, Spec: withoutData(body) },
      );
      return [201, made];
    }
    const at = entries.findIndex((entry) => (entry.ID ?? entry.Id) === id);
    if (at < 0) return [404, { message: `${id} not found` }];
    if (verb === "update") entries[at] = { ...entries[at], Spec: body };
    else entries.splice(at, 1);
    return [200, {}];
  }
}

/** As managers do for whoever asked for none. */
function giveAddresses({ IPAM }: Loose): void {
  const { Config } = IPAM as { Config: Loose[] };
  if (Config.length === 0) Config.push({ Subnet: "10.0.200.0/24", Gateway: "10.0.200.1" });
}

const withoutData = ({ Data: _, ...rest }: Loose): Loose => rest;

function fits(entry: Loose, { service, "desired-state": desired }: Record<string, unknown[]>): boolean {
  if (service !== undefined && !service.includes(entry.ServiceID)) return false;
  return desired === undefined || desired.includes(entry.DesiredState);
}

const GIB = 1024 ** 3;

function toEntry({ id, name, role }: NodeSimulator): Loose {
  return {
    ID: id,
    Version: { Index: 7 },
    Spec: { Labels: {}, Role: role, Availability: "active" },
    Description: {
      Hostname: name,
      Platform: { Architecture: "x86_64", OS: "linux" },
      Resources: { NanoCPUs: 2e9, MemoryBytes: 4 * GIB },
      Engine: {
        EngineVersion: "20.10.24+dfsg1",
        Plugins: [
          { Type: "Volume", Name: "local" },
          { Type: "Log", Name: "x" },
        ],
      },
      TLSInfo: { TrustRoot: "root" },
    },
    Status: { State: "ready", Addr: "10.0.0.1" },
    ...(role === "manager" ? { ManagerStatus: { Leader: name === "m1", Reachability: "reachable" } } : {}),
  };
}
