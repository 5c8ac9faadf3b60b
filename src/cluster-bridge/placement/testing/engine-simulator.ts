/** An engine on a socket of its own, whose answers a test may change: what placement reads, and the labels it writes. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Json, type JsonObject, parseJson } from "../../../oci/json.ts";
import type { Endpoint } from "../../bridge-config.ts";

interface Held {
  readonly ID: string;
  Version: { Index: number };
  Spec: JsonObject;
  readonly [name: string]: unknown;
}

export class EngineSimulator {
  readonly #server: Server;
  readonly #folder: string;
  /** By id, in order. */
  readonly nodes = new Map<string, Held>();
  tasks: JsonObject[] = [];
  services: JsonObject[] = [];
  info: JsonObject = {};
  /** `POST /nodes/a/update?version=3`. */
  readonly writes: string[] = [];
  /** Called before a node is changed. */
  beforeWrite: () => void = () => undefined;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(({ status, body }) =>
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)),
      );
    });
  }

  static async start(): Promise<EngineSimulator> {
    const simulator = new EngineSimulator(await mkdtemp(join(tmpdir(), "goldseal-engine-")));
    simulator.#server.listen(simulator.endpoint.socket);
    await once(simulator.#server, "listening");
    return simulator;
  }

  get endpoint(): Endpoint & { readonly kind: "unix" } {
    return { kind: "unix", socket: join(this.#folder, "docker.sock") };
  }

  /** A node that is ready, as a manager shows it, of two CPUs and 4 GiB. */
  addNode(hostname: string, labels: Readonly<Record<string, string>> = {}): void {
    this.nodes.set(`id-${hostname}`, {
      ...{ ID: `id-${hostname}`, Version: { Index: 1 }, Status: { State: "ready" } },
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

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    await rm(this.#folder, { recursive: true });
  }

  async #answer(request: IncomingMessage): Promise<{ readonly status: number; readonly body: unknown }> {
    const url = new URL(request.url ?? "", "http://engine");
    const path = url.pathname.replace("/v1.41", "");
    if (request.method === "POST") return this.#write(request, path, url.searchParams.get("version"));
    const known: Readonly<Record<string, unknown>> = {
      ...{ "/nodes": [...this.nodes.values()], "/tasks": this.tasks, "/services": this.services, "/info": this.info },
    };
    const body = known[path] ?? this.nodes.get(path.replace("/nodes/", ""));
    return body === undefined ? { status: 404, body: { message: `no ${path}` } } : { status: 200, body };
  }

  async #write(request: IncomingMessage, path: string, version: string | null) {
    const pieces: Buffer[] = await request.toArray();
    this.writes.push(`POST ${path}?version=${version}`);
    this.beforeWrite();
    const held = this.nodes.get(/^\/nodes\/([^/]+)\/update$/.exec(path)?.[1] ?? "");
    if (held === undefined) return { status: 404, body: { message: `no ${path}` } };
    if (String(held.Version.Index) !== version)
      return { status: 500, body: { message: "rpc error: code = Unknown desc = update out of sequence" } };
    [held.Spec, held.Version] = [parseJson(Buffer.concat(pieces)) as JsonObject, { Index: held.Version.Index + 1 }];
    return { status: 200, body: {} };
  }
}
