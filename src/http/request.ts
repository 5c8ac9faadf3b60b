import type { IncomingMessage, ServerResponse } from "node:http";
import { type Actor, type Admission, ANONYMOUS } from "../oci/access.ts";
import type { ByteBudget } from "../oci/byte-budget.ts";
import type { JsonObject } from "../oci/json.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { type BodySource, readBody, streamBody } from "./body.ts";
import type { Judgement, Route } from "./route.ts";

export interface RequestParts {
  readonly id: string;
  readonly message: IncomingMessage;
  /** As client-address.ts found it. */
  readonly clientAddress: string;
  readonly response: ServerResponse;
  readonly route: Route;
  /** As it came, without the query. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** What all larger bodies held whole share. */
  readonly budget: ByteBudget;
  readonly badRequest: (message: string) => Error;
}

/** What a handler sees of an HTTP request. */
export class Request {
  readonly id: string;
  readonly route: Route;
  readonly method: string;
  readonly path: string;
  /**
   * Set by a look-ahead that reads the version of the rights along with its rows; the gate then need not read it. Nobody
   * has to await it.
   */
  looked: Promise<{ readonly rights: string } | undefined> | undefined;
  /** Set by the gate. */
  actor: Actor = ANONYMOUS;
  /** Set by the gate for routes of one repository. */
  admission: Admission = { repositoryId: undefined, mayCreate: false };
  /** The user name that came with a password, believed or not; empty for none. */
  claimedName = "";
  judgement: Judgement | undefined;
  /** The repository that it turned out to concern, where the path does not say it; for the record. */
  about: RepositoryName | undefined;
  /** What a body of REST asked for, without its secrets; for the record. */
  asked: JsonObject | undefined;
  /** What the log line says was done, to what; handlers may add. Never a secret. */
  readonly notes: Record<string, string | number> = {};
  readonly #parts: RequestParts;
  #bytesRead = 0;

  constructor(parts: RequestParts) {
    this.id = parts.id;
    this.route = parts.route;
    this.path = parts.path;
    this.method = parts.message.method ?? "GET";
    this.#parts = parts;
  }

  /** A path parameter of the route; asking for one that the route does not have is our own mistake. */
  param(name: string): string {
    const value = this.#parts.params[name];
    if (value === undefined) throw new Error(`route ${this.route.id} has no parameter <${name}>`);
    return value;
  }

  /** A query parameter that may stand there once. Throws the protocol's bad request when it stands there twice. */
  query(name: string): string | undefined {
    const values = this.#parts.query.getAll(name);
    if (values.length > 1) throw this.badRequest(`query parameter ${name} stands there ${values.length} times`);
    return values[0];
  }

  queryAll(name: string): readonly string[] {
    return this.#parts.query.getAll(name);
  }

  get queryNames(): readonly string[] {
    return [...this.#parts.query.keys()];
  }

  /** `name[]=`, `name[key]=`: what some frameworks read as lists and objects. */
  get hasBracketedQuery(): boolean {
    return this.#parts.query.size > 0 && [...this.#parts.query.keys()].some((name) => name.includes("["));
  }

  /** A header that may be sent once; Node has joined or dropped repeated ones, so those are looked for here. */
  header(name: string): string | undefined {
    const values = this.#parts.message.headersDistinct[name.toLowerCase()];
    if (values !== undefined && values.length > 1)
      throw this.badRequest(`header ${name} was sent ${values.length} times`);
    return values?.[0];
  }

  headerAll(name: string): readonly string[] {
    return this.#parts.message.headersDistinct[name.toLowerCase()] ?? [];
  }

  /** `Content-Length` in bytes, undefined for a body of unknown length (chunked). */
  get contentLength(): number | undefined {
    const { "content-length": lengths, "transfer-encoding": coding } = this.#parts.message.headersDistinct;
    if (lengths?.[0] !== undefined) return Number(lengths[0]);
    return coding === undefined ? 0 : undefined;
  }

  /** Whether the request announced a body of at least one byte, or one of unknown length. */
  get hasBody(): boolean {
    return this.contentLength !== 0;
  }

  /** Of whoever asks; of the proxy before us only where that one is not trusted. */
  get clientAddress(): string {
    return this.#parts.clientAddress;
  }

  /** Bytes of the body that were read so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** The whole body, refused above the route's `maxBodyBytes` before it is buffered. */
  body(): Promise<Buffer> {
    return readBody(this.#source(), { maxBytes: this.route.maxBodyBytes, budget: this.#parts.budget });
  }

  /** The body in pieces as they arrive, each valid until the next one is asked for; throws when the client stops sending or goes away. */
  bodyStream(): AsyncIterable<Uint8Array> {
    return streamBody(this.#source());
  }

  #source(): BodySource {
    const { message, response } = this.#parts;
    const count = (bytes: number): void => {
      this.#bytesRead += bytes;
    };
    return { message, response, count };
  }

  badRequest(message: string): Error {
    return this.#parts.badRequest(message);
  }
}
