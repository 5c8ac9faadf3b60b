/** A manager's engine as the bridge sees it: services and their tasks, on a unix socket, whose answers a test may change. */
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { type Answer, EngineSocket, type Question } from "./engine-socket.ts";
import { PartStore } from "./part-store.ts";
import { type Crash, tasksOf } from "./task-entries.ts";

/** What the engine is told of a service, as far as this one looks at it. */
export interface EngineSpec {
  Name: string;
  Labels: Record<string, string>;
  TaskTemplate: { ContainerSpec: { Image: string; Args?: string[] }; Runtime?: string };
  Mode: { Replicated?: { Replicas?: number } };
}

interface Service {
  readonly ID: string;
  readonly Version: { readonly Index: number };
  readonly Spec: EngineSpec;
  readonly UpdateStatus?: { readonly State: string; readonly Message: string };
}

export interface EngineContainer {
  readonly Id: string;
  readonly Name: string;
  readonly image: string;
  readonly Labels: Readonly<Record<string, string>>;
}

interface Task {
  readonly ServiceID: string;
  readonly DesiredState: string;
  readonly Spec: EngineSpec["TaskTemplate"];
  readonly Status: { readonly ContainerStatus: { readonly ContainerID: string } };
}

/** One node, on which everything fits. */
const NODE = {
  ...{ ID: "node-1", Version: { Index: 1 }, Status: { State: "ready" } },
  Spec: { Labels: {}, Role: "manager", Availability: "active" },
  Description: {
    ...{ Hostname: "one", Platform: { OS: "linux", Architecture: "x86_64" } },
    Resources: { NanoCPUs: 64e9, MemoryBytes: 64e9 },
    Engine: { EngineVersion: "20.10.24", Plugins: [{ Type: "Volume", Name: "local" }] },
  },
};
const MANAGER = { NodeID: "node-1", ControlAvailable: true, LocalNodeState: "active" };
const FIXED: Readonly<Record<string, unknown>> = {
  ...{ "/swarm": {}, "/nodes": [NODE], "/networks": [], "/secrets": [], "/configs": [] },
};

/** Answers itself, or returns false. */
export type EngineAttack = (method: string, path: string, response: ServerResponse) => boolean;

export type PullAnswer =
  | { readonly status: 200; readonly digest: string }
  | { readonly status: 401 | 403 | 404 | 500; readonly message: string };
type Pull = (reference: string, auth: string | undefined) => Promise<PullAnswer>;

const everythingIsThere: Pull = async (reference) => ({ status: 200, digest: reference.split("@")[1] ?? "" });

export class EngineSimulator {
  readonly services = new Map<string, Service>();
  /** Images of which no task comes up. */
  readonly broken = new Set<string>();
  /** Images whose tasks end. */
  readonly crashes = new Map<string, Crash>();
  /** How often it is asked for tasks after an update until it begins: all is as it was till then. */
  lateLooks = 0;
  /** `METHOD /path`, without the query and the version of the API. */
  readonly asked: string[] = [];
  /** What came along with that in `X-Registry-Auth`; undefined: nothing. */
  readonly auths: (string | undefined)[] = [];
  /** Asks the registry for an image, as a node would. */
  pull: Pull = everythingIsThere;
  readonly parts = new PartStore();
  attack: EngineAttack = () => false;
  /** Between what is sent and what is kept. */
  change: (spec: EngineSpec) => void = () => undefined;
  /** Who it says that it is. */
  facts = { ...MANAGER };
  /** What somebody started on the node itself, beside the tasks of services. */
  readonly containers = new Map<string, EngineContainer>();
  /** Of which bytes an image is; where it is not said, `sha256:` and its name. */
  readonly imageIds = new Map<string, string>();
  readonly #socket: EngineSocket;
  /** How often a service's tasks were asked for since it was changed. */
  readonly #looks = new Map<string, number>();
  /** What a service was before its last update. */
  readonly #before = new Map<string, Service>();

  private constructor(socket: EngineSocket) {
    this.#socket = socket;
    socket.onQuestion((question, response) => this.#answer(question, response));
  }

  static async start(): Promise<EngineSimulator> {
    return new EngineSimulator(await EngineSocket.open());
  }

  get socket(): string {
    return this.#socket.path;
  }

  stop(): Promise<void> {
    return this.#socket.close();
  }

  /** As if it were new. */
  reset(): void {
    this.services.clear();
    this.containers.clear();
    this.imageIds.clear();
    this.facts = { ...MANAGER };
    this.broken.clear();
    this.crashes.clear();
    this.#before.clear();
    this.lateLooks = 0;
    this.asked.length = 0;
    this.auths.length = 0;
    this.parts.reset();
    [this.attack, this.change, this.pull] = [() => false, () => undefined, everythingIsThere];
  }

  /** Images by name of the service. */
  get images(): Record<string, string> {
    return Object.fromEntries([...this.services.values()].map(({ Spec }) => [Spec.Name, imageOf(Spec)]));
  }

  find(name: string): Service | undefined {
    return [...this.services.values()].find(({ Spec }) => Spec.Name === name);
  }

  async #answer({ method, path, query, text, auth }: Question, response: ServerResponse): Promise<Answer> {
    const body = text === "" ? {} : JSON.parse(text);
    this.asked.push(`${method} ${path}`);
    this.auths.push(auth);
    if (this.attack(method, path, response)) return undefined;
    const [, reference] = /^\/distribution\/(.+)\/json$/.exec(path) ?? [];
    if (reference !== undefined) return toAnswer(await this.pull(reference, auth));
    return this.parts.act(method, path, body) ?? this.#act(method, path, query, body);
  }

  #act(method: string, path: string, query: URLSearchParams, body: EngineSpec): [number, unknown] {
    const filters = JSON.parse(query.get("filters") ?? "{}");
    const [, id = "", verb] = /^\/services\/([^/]+)(\/update)?$/.exec(path) ?? [];
    if (method === "GET" && path === "/version") return [200, { Version: "20.10.24" }];
    if (method === "GET" && path === "/info") return [200, { Name: "one", Swarm: this.facts }];
    if (/^\/(containers|images)\//.test(path)) return this.#actOnContainer(method, path);
    if (method === "GET" && Object.hasOwn(FIXED, path)) return [200, FIXED[path]];
    if (method === "GET" && path === "/services") return [200, this.#listServices(filters.name ?? [])];
    if (method === "GET" && path === "/tasks") return [200, this.#askTasks(filters)];
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
    const Version = { Index: (before?.Version.Index ?? 10) + 1 };
    this.#looks.set(id, 0);
    if (before !== undefined) this.#before.set(id, before);
    // As engines do, of services alone.
    const TaskTemplate = { ForceUpdate: 0, ...spec.TaskTemplate, Runtime: "container" };
    this.services.set(id, { ID: id, Version, Spec: { ...spec, TaskTemplate } });
    return [before === undefined ? 201 : 200, { ID: id }];
  }

  #isLate(id: string): boolean {
    return this.#before.has(id) && (this.#looks.get(id) ?? 0) < this.lateLooks;
  }

  #shown(service: Service): Service {
    if (service.UpdateStatus !== undefined) return service;
    if (!this.#before.has(service.ID) || this.#isLate(service.ID)) return service;
    const paused = { State: "paused", Message: "update paused due to failure" };
    return {
      ...service,
      UpdateStatus: this.broken.has(imageOf(service.Spec)) ? paused : { State: "completed", Message: "" },
    };
  }

  #listServices(names: readonly string[]): Service[] {
    const all = [...this.services.values()].map((service) => this.#shown(service));
    return names.length === 0 ? all : all.filter(({ Spec }) => names.some((name) => Spec.Name.startsWith(name)));
  }

  /** All that run: those of tasks, too. */
  #running(): EngineContainer[] {
    const tasks = this.#listTasks([...this.services.keys()]) as Task[];
    const live = tasks.filter(({ DesiredState }) => DesiredState === "running");
    const ofTasks = live.map(({ ServiceID, Spec, Status }) => ({
      Id: Status.ContainerStatus.ContainerID,
      Name: `/task.${Status.ContainerStatus.ContainerID}`,
      image: Spec.ContainerSpec.Image,
      Labels: { "com.docker.swarm.service.id": ServiceID },
    }));
    return [...ofTasks, ...this.containers.values()];
  }

  #actOnContainer(method: string, path: string): [number, unknown] {
    if (path === "/containers/json") return [200, this.#running().map(({ Id }) => ({ Id }))];
    const [, kind, id = ""] = /^\/(containers|images)\/([^/]+)/.exec(path) ?? [];
    if (kind === "images") return [200, []];
    const found = this.#running().find(({ Id }) => Id === id);
    if (found === undefined) return [404, { message: `No such container: ${id}` }];
    if (method === "DELETE") return [204, this.containers.delete(id)];
    const { Id, Name, image, Labels } = found;
    return [200, { Id, Name, Image: this.imageIds.get(image) ?? `sha256:${image}`, Config: { Image: image, Labels } }];
  }

  #askTasks({ service = [], "desired-state": desired }: Record<string, string[] | undefined>): object[] {
    const found = this.#listTasks(service) as Task[];
    for (const id of service) this.#looks.set(id, (this.#looks.get(id) ?? 0) + 1);
    return desired === undefined ? found : found.filter(({ DesiredState }) => desired.includes(DesiredState));
  }

  #listTasks(ids: readonly string[]): object[] {
    return (ids.length === 0 ? [...this.services.keys()] : ids).flatMap((id) => this.#tasksOf(id));
  }

  #tasksOf(id: string): object[] {
    const service = this.#isLate(id) ? this.#before.get(id) : this.services.get(id);
    if (service === undefined || this.broken.has(imageOf(service.Spec))) return [];
    const { Spec, Version } = service;
    const { Replicas = 1 } = Spec.Mode.Replicated ?? {};
    const { Runtime: _, ...template } = Spec.TaskTemplate;
    return tasksOf({
      ...{ serviceId: id, version: Version.Index, template, replicas: Replicas },
      ...{ crash: this.crashes.get(imageOf(Spec)), looks: this.#looks.get(id) ?? 0 },
    });
  }
}

const imageOf = ({ TaskTemplate }: EngineSpec): string => TaskTemplate.ContainerSpec.Image;

function toAnswer(pulled: PullAnswer): [number, unknown] {
  if (pulled.status !== 200) return [pulled.status, { message: pulled.message }];
  return [200, { Descriptor: { digest: pulled.digest }, Platforms: [] }];
}
