/** A registry over TLS whose answers a test may change: simulated trust data, manifests and a policy document. */
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { serve } from "../../notary/tuf/testing/reader.ts";
import type { Repository } from "../../notary/tuf/testing/repository.ts";
import type { Artifact } from "../../trust/subject.ts";
import { makePair } from "./tls-pair.ts";

/** Answers itself, or returns false. */
export type Attack = (path: string, response: ServerResponse, request: IncomingMessage) => boolean;

export class RegistrySimulator {
  /** PEM: to trust it. */
  readonly ca: string;
  readonly #server: Server;
  /** By repository. */
  readonly collections = new Map<string, Repository>();
  /** By digest, in every repository. */
  readonly manifests = new Map<string, Artifact>();
  policy: Uint8Array | undefined;
  attack: Attack = () => false;
  /** Paths as they were asked. */
  readonly asked: string[] = [];

  private constructor(commonName: string) {
    const { cert, key } = makePair(commonName);
    this.ca = cert;
    this.#server = createServer({ cert, key }, (request, response) => void this.#answer(request, response));
  }

  static async start(commonName = "localhost"): Promise<RegistrySimulator> {
    const simulator = new RegistrySimulator(commonName);
    simulator.#server.listen(0, "127.0.0.1");
    await once(simulator.#server, "listening");
    return simulator;
  }

  get authority(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return `localhost:${address.port}`;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    this.asked.push(path);
    if (this.attack(path, response, request)) return;
    const found = await this.#find(path);
    if (found === undefined) response.writeHead(404).end();
    else
      response
        .writeHead(200, { "content-type": found.mediaType, "content-length": found.bytes.length })
        .end(found.bytes);
  }

  async #find(path: string): Promise<{ readonly bytes: Uint8Array; readonly mediaType: string } | undefined> {
    const mediaType = "application/json";
    if (path === "/v2/") return { bytes: Buffer.from("{}"), mediaType };
    if (path === "/api/v1/policies/bridge") return this.policy && { bytes: this.policy, mediaType };
    const [, gun = "", file = ""] = /^\/v2\/(.+)\/_trust\/tuf\/(.+)\.json$/.exec(path) ?? [];
    const collection = this.collections.get(gun.slice(this.authority.length + 1));
    const bytes = collection && (await serve(collection)(file, Number.POSITIVE_INFINITY));
    if (bytes !== undefined) return { bytes, mediaType };
    const manifest = this.manifests.get(/\/manifests\/([^/]+)$/.exec(path)?.[1] ?? "");
    return manifest && { bytes: manifest.bytes, mediaType: manifest.mediaType ?? mediaType };
  }
}
