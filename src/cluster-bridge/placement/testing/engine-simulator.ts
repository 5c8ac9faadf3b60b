/** An engine on a socket of its own, whose answers a test may change: what placement reads, and the labels it writes. */
import { type Json, type JsonObject, parseJson } from "../../../oci/json.ts";
import type { Endpoint } from "../../bridge-config.ts";
import { type Answer, EngineSocket, type Question } from "../../testing/engine-socket.ts";

interface Held {
  readonly ID: string;
  Version: { Index: number };
  Spec: JsonObject;
  readonly [name: string]: unknown;
}

export class EngineSimulator {
  readonly #socket: EngineSocket;
  /** By id, in order. */
  readonly nodes = new Map<string, Held>();
  tasks: JsonObject[] = [];
  services: JsonObject[] = [];
  info: JsonObject = {};
  /** `POST /nodes/a/update?version=3`. */
  readonly writes: string[] = [];
  /** Called before a node is changed. */
  beforeWrite: () => void = () => undefined;
  /** Called before it tells of its nodes. */
  beforeNodes: () => void = () => undefined;

  private constructor(socket: EngineSocket) {
    this.#socket = socket;
    socket.onQuestion((question) => this.#answer(question));
  }

  static async start(): Promise<EngineSimulator> {
    return new EngineSimulator(await EngineSocket.open());
  }

  get endpoint(): Endpoint {
    return { kind: "unix", socket: this.#socket.path };
  }

  /** A node, as a manager shows it, of two CPUs and 4 GiB. */
  addNode(hostname: string, labels: Readonly<Record<string, string>> = {}, state = "ready"): void {
    this.nodes.set(`id-${hostname}`, {
      ...{ ID: `id-${hostname}`, Version: { Index: 1 }, Status: { State: state } },
      Spec: { Labels: labels, Role: "worker", Availability: "active" },
      Description: {
        ...{ Hostname: hostname, Platform: { OS: "linux", Architecture: "x86_64" } },
        Resources: { NanoCPUs: 2e9, MemoryBytes: 4 * 1024 ** 3 },
        Engine: { Plugins: [{ Type: "Volume", Name: "local" }] },
      },
    });
  }

  labelsOf(hostname: string): Json | undefined {
    return this.nodes.get(`id-${hostname}`)?.Spec.Labels;
  }

  stop(): Promise<void> {
    return this.#socket.close();
  }

  #answer({ method, path, query, text }: Question): Answer {
    if (method === "POST") return this.#write(path, query.get("version"), text);
    if (path === "/nodes") this.beforeNodes();
    const known: Readonly<Record<string, unknown>> = {
      ...{ "/nodes": [...this.nodes.values()], "/tasks": this.tasks, "/services": this.services, "/info": this.info },
    };
    const body = known[path] ?? this.nodes.get(path.replace("/nodes/", ""));
    return body === undefined ? [404, { message: `no ${path}` }] : [200, body];
  }

  #write(path: string, version: string | null, text: string): Answer {
    this.writes.push(`POST ${path}?version=${version}`);
    this.beforeWrite();
    const held = this.nodes.get(/^\/nodes\/([^/]+)\/update$/.exec(path)?.[1] ?? "");
    if (held === undefined) return [404, { message: `no ${path}` }];
    if (String(held.Version.Index) !== version)
      return [500, { message: "rpc error: code = Unknown desc = update out of sequence" }];
    [held.Spec, held.Version] = [parseJson(Buffer.from(text)) as JsonObject, { Index: held.Version.Index + 1 }];
    return [200, {}];
  }
}
