/** The suites' own view of a registry: HTTPS (or, behind a proxy, HTTP) with Basic credentials, nothing of the product's code. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import type { Readable } from "node:stream";

export interface Credentials {
  readonly name: string;
  readonly password: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | Readable;
}

export const MANIFEST_TYPES = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];

export const sha256 = (bytes: Buffer | string): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** One server, one user. Close it, or its idle connections keep the process alive. */
export class RegistryClient {
  readonly url: string;
  readonly #agent: HttpAgent;
  readonly #request: typeof request;
  readonly #authorization: string;

  /** `from`: the address of this machine that requests come from; default: whichever the system picks. */
  constructor(server: { readonly url: string; readonly caPath: string }, user: Credentials, from?: string) {
    this.url = server.url;
    const secure = server.url.startsWith("https:");
    const options = { keepAlive: true, ...(from !== undefined && { localAddress: from }) };
    this.#agent = secure ? new Agent({ ...options, ca: readFileSync(server.caPath) }) : new HttpAgent(options);
    this.#request = secure ? request : httpRequest;
    this.#authorization = `Basic ${Buffer.from(`${user.name}:${user.password}`).toString("base64")}`;
  }

  /** Sends one request; the answer's body is the caller's to read. `path` may be a whole URL (a Location). */
  open(path: string, { method = "GET", headers = {}, body }: Ask = {}): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = this.#request(new URL(path, this.url), {
      method,
      agent: this.#agent,
      headers: { authorization: this.#authorization, ...headers },
    });
    outgoing.once("response", resolve).once("error", reject);
    if (body === undefined || Buffer.isBuffer(body)) outgoing.end(body);
    else body.once("error", reject).pipe(outgoing);
    return promise;
  }

  async ask(path: string, ask?: Ask): Promise<Answer> {
    const message = await this.open(path, ask);
    const pieces: Buffer[] = [];
    for await (const piece of message) pieces.push(piece);
    return { status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(pieces) };
  }

  manifest(repository: string, reference: string, method = "GET"): Promise<Answer> {
    return this.ask(`/v2/${repository}/manifests/${reference}`, {
      method,
      headers: { accept: MANIFEST_TYPES.join(", ") },
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
