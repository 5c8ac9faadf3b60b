/** A manager's engine as the bridge sees it: services and their tasks, on a unix socket, whose answers a test may change. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What the engine is told of a service, as far as this one looks at it. */
export interface EngineSpec {
  Name: string;
  Labels: Record<string, string>;
  TaskTemplate: { ContainerSpec: { Image: string; Args?: string[] } };
  Mode: { Replicated?: { Replicas?: number } };
}

interface Service {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: EngineSpec;
  readonly UpdateStatus?: { readonly State: string; readonly Message: string };
}

/** Answers itself, or returns false. */
export type EngineAttack = (method: string, path: string, response: ServerResponse) => boolean;

export class EngineSimulator {
  readonly services = new Map<string, Service>();
  /** Images of which no task comes up. */
  readonly broken = new Set<string>();
  /** `METHOD /path`, without the query and the version of the API. */
  readonly asked: string[] = [];
  attack: EngineAttack = () => false;
  /** Between what is sent and what is kept. */
  change: (spec: EngineSpec) => void = () => undefined;
  readonly #folder: string;
  readonly #server: Server;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<EngineSimulator> {
    const engine = new EngineSimulator(await mkdtemp(join(tmpdir(), "goldseal-engine-")));
    engine.#server.listen(engine.socket);
    await once(engine.#server, "listening");
    return engine;
  }

  get socket(): string {
    return join(this.#folder, "docker.sock");
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    await rm(this.#folder, { recursive: true });
  }

  /** As if it were new. */
  reset(): void {
    this.services.clear();
    this.broken.clear();
    this.asked.length = 0;
    [this.attack, this.change] = [() => false, () => undefined];
  }

  /** Images by name of the service. */
  get images(): Record<string, string> {
    return Object.fromEntries([...this.services.values()].map(({ Spec }) => [Spec.Name, imageOf(Spec)]));
  }

  find(name: string): Service | undefined {
    return [...this.services.values()].find(({ Spec }) => Spec.Name === name);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "", "http://engine");
    const [method, path] = [request.method ?? "", url.pathname.replace(/^\/v1\.41/, "")];
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const body = pieces.length === 0 ? {} : JSON.parse(Buffer.concat(pieces).toString());
    this.asked.push(`${method} ${path}`);
    if (this.attack(method, path, response)) return;
    const [status, answer] = this.#act(method, path, url.searchParams, body);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  #act(method: string, path: string, query: URLSearchParams, body: EngineSpec): [number, unknown] {
    const filters = JSON.parse(query.get("filters") ?? "{}");
    const [, id = "", verb] = /^\/services\/([^/]+)(\/update)?$/.exec(path) ?? [];
    if (method === "GET" && path === "/version") return [200, { Version: "20.10.24" }];
    if (method === "GET" && path === "/swarm") return [200, {}];
    if (method === "GET" && path === "/services") return [200, this.#listServices(filters.name ?? [])];
    if (method === "GET" && path === "/tasks") return [200, this.#listTasks(filters.service ?? [])];
    if (method === "POST" && path === "/services/create") return this.#keep(randomBytes(12).toString("hex"), body);
    const service = this.services.get(id);
    if (service === undefined) return method === "GET" ? [200, []] : [404, { message: `service ${id} not found` }];
    if (method === "DELETE") return [200, this.services.delete(id)];
    if (method !== "POST" || verb === undefined) return [404, { message: "page not found" }];
    const isCurrent = query.get("version") === String(service.Version.Index);
    return isCurrent ? this.#keep(id, body) : [500, { message: "rpc error: update out of sequence" }];
  }

  #keep(id: string, spec: EngineSpec): [number, unknown] {
    this.change(spec);
    const before = this.services.get(id);
    const paused = { State: "paused", Message: "update paused due to failure" };
    const state = this.broken.has(imageOf(spec)) ? paused : { State: "completed", Message: "" };
    const Version = { Index: (before?.Version.Index ?? 10) + 1 };
    this.services.set(id, { ID: id, Version, Spec: spec, ...(before === undefined ? {} : { UpdateStatus: state }) });
    return [before === undefined ? 201 : 200, { ID: id }];
  }

  #listServices(names: readonly string[]): Service[] {
    const all = [...this.services.values()];
    return names.length === 0 ? all : all.filter(({ Spec }) => names.some((name) => Spec.Name.startsWith(name)));
  }

  #listTasks([id = ""]: readonly string[]): object[] {
    const Spec = this.services.get(id)?.Spec;
    if (Spec === undefined || this.broken.has(imageOf(Spec))) return [];
    const { Replicas = 1 } = Spec.Mode.Replicated ?? {};
    const task = { Status: { State: "running" }, Spec: Spec.TaskTemplate, NodeID: "node-1", DesiredState: "running" };
    return Array.from({ length: Replicas }, () => task);
  }
}

const imageOf = ({ TaskTemplate }: EngineSpec): string => TaskTemplate.ContainerSpec.Image;
