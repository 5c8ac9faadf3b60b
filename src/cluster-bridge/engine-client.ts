import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { IncomingMessage, OutgoingHttpHeaders, RequestOptions } from "node:http";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { isJsonObject, type Json, JsonError, type JsonObject, parseJson } from "../oci/json.ts";
import { NOTE_HEADER, NoteWriter } from "./authz/allow-note.ts";
import type { Endpoint } from "./bridge-config.ts";
import { BridgeError } from "./errors.ts";

export interface EngineAnswer {
  readonly status: number;
  /** Undefined where there is none, or it is no JSON. */
  readonly body: Json | undefined;
}

/** 20.10's; later engines speak it too. */
const API = "/v1.41";
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

/**
 * One engine's API, over its socket or mutual TLS. What is sent are the bytes that the caller made, so that a hash of them
 * can be known beforehand.
 * @see docs/decisions/0048
 */
export class EngineClient {
  readonly #where: RequestOptions;
  readonly #send: typeof httpRequest;
  readonly #notes: NoteWriter | undefined;

  private constructor(where: RequestOptions, send: typeof httpRequest, notes: NoteWriter | undefined) {
    this.#where = where;
    this.#send = send;
    this.#notes = notes;
  }

  /** Reads the files that the endpoint names. */
  static async open(endpoint: Endpoint): Promise<EngineClient> {
    const { allowKeyFile } = endpoint;
    // What a plug-in compares it with is a machine's clock.
    const notes = allowKeyFile === undefined ? undefined : new NoteWriter(await readFile(allowKeyFile, "utf8"), () => new Date());
    if (endpoint.kind === "unix") return new EngineClient({ socketPath: endpoint.socket }, httpRequest, notes);
    const { host, port } = endpoint;
    const [ca, cert, key] = await Promise.all([endpoint.ca, endpoint.cert, endpoint.key].map((file) => readFile(file)));
    const tls = { host, port, ca, cert, key, rejectUnauthorized: true, minVersion: "TLSv1.2" };
    return new EngineClient(tls as RequestOptions, httpsRequest as typeof httpRequest, notes);
  }

  /** @throws BridgeError SILENT when nobody answers; ENGINE when the answer is no 2xx and not among `expected` */
  async call(
    method: "GET" | "POST" | "DELETE",
    path: string,
    { body, expected = [] }: { readonly body?: Uint8Array; readonly expected?: readonly number[] } = {},
  ): Promise<EngineAnswer> {
    const answer = await this.#exchange(method, path, body).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new BridgeError("SILENT", `${method} ${path}: ${why}`, { cause });
    });
    if ((answer.status >= 200 && answer.status < 300) || expected.includes(answer.status)) return answer;
    const message = isJsonObject(answer.body) ? String(answer.body.message ?? "") : "";
    throw new BridgeError("ENGINE", `${method} ${path} was answered ${answer.status}: ${message.slice(0, 500)}`);
  }

  /** @throws BridgeError ENGINE, also where the answer is no object */
  async getObject(path: string): Promise<JsonObject> {
    const { body } = await this.call("GET", path);
    if (isJsonObject(body)) return body;
    throw new BridgeError("ENGINE", `GET ${path} answered no object`);
  }

  /** Undefined: 404. */
  async findObject(path: string): Promise<JsonObject | undefined> {
    const { status, body } = await this.call("GET", path, { expected: [404] });
    return status !== 404 && isJsonObject(body) ? body : undefined;
  }

  /** @throws BridgeError ENGINE, also where the answer is no list of objects */
  async list(path: string): Promise<JsonObject[]> {
    const { body } = await this.call("GET", path);
    const entries: readonly Json[] = Array.isArray(body) ? body : [null];
    if (entries.every((entry) => isJsonObject(entry))) return [...entries];
    throw new BridgeError("ENGINE", `GET ${path} answered no list`);
  }

  async #exchange(method: string, path: string, body: Uint8Array | undefined): Promise<EngineAnswer> {
    const headers: OutgoingHttpHeaders = { host: "engine" };
    if (body !== undefined)
      Object.assign(headers, { "content-type": "application/json", "content-length": body.length });
    const uri = `${API}${path}`;
    const note = this.#notes?.write({ method, uri, body: body ?? Buffer.alloc(0) });
    if (note !== undefined) headers[NOTE_HEADER] = note;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const request = this.#send({ ...this.#where, method, path: uri, headers, signal, agent: false });
    request.end(body);
    const [incoming]: IncomingMessage[] = await once(request, "response");
    if (incoming === undefined) throw new Error("no answer");
    return { status: incoming.statusCode ?? 0, body: toJson(await readBody(incoming)) };
  }
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of incoming) {
    size += piece.length;
    if (size > MAX_ANSWER_BYTES) throw new Error("an answer of more than 64 MiB");
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function toJson(bytes: Buffer): Json | undefined {
  try {
    return parseJson(bytes, { maxDepth: 64 });
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
