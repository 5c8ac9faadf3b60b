import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { isJsonObject, type Json, type JsonObject } from "../oci/json.ts";
import type { Endpoint } from "./bridge-config.ts";
import { type EngineAnswer, type EngineAsk, EngineSocket, type EngineWire } from "./engine-wire.ts";
import { BridgeError } from "./errors.ts";

export interface CallOptions {
  /** What is sent are these bytes, so that a hash of them can be known beforehand. */
  readonly body?: Uint8Array;
  readonly headers?: OutgoingHttpHeaders;
  /** Statuses that are answers too, beside 2xx. */
  readonly expected?: readonly number[];
  readonly timeoutMs?: number;
  /** See {@link EngineAsk}. */
  readonly isBare?: boolean;
}

const TIMEOUT_MS = 30_000;

/**
 * An engine's API as the bridge uses it.
 * @see docs/decisions/0048
 */
export class EngineClient {
  readonly #wire: EngineWire;

  constructor(wire: EngineWire) {
    this.#wire = wire;
  }

  /** Reads the files that the endpoint names. */
  static async open(endpoint: Endpoint, keptMs?: number): Promise<EngineClient> {
    return new EngineClient(await EngineSocket.open(endpoint, keptMs));
  }

  /** @throws BridgeError SILENT when nobody answers; ENGINE when the answer is no 2xx and not among `expected` */
  async call(
    method: EngineAsk["method"],
    path: string,
    { body, headers, expected = [], timeoutMs = TIMEOUT_MS, isBare }: CallOptions = {},
  ): Promise<EngineAnswer> {
    const asked = this.#wire.exchange({ method, path, body, headers, timeoutMs, isBare });
    const answer = await asked.catch((cause: unknown) => {
      throw silent(`${method} ${path}`, cause);
    });
    if ((answer.status >= 200 && answer.status < 300) || expected.includes(answer.status)) return answer;
    const message = isJsonObject(answer.body) ? String(answer.body.message ?? "") : "";
    // 503: this one is no manager now, or they have no leader; another time they may.
    const code = answer.status === 503 ? "SILENT" : "ENGINE";
    throw new BridgeError(code, `${method} ${path} was answered ${answer.status}: ${message.slice(0, 500)}`);
  }

  /** @throws BridgeError ENGINE, also where the answer is no object */
  async getObject(path: string, options?: CallOptions): Promise<JsonObject> {
    const { body } = await this.call("GET", path, options);
    if (isJsonObject(body)) return body;
    throw new BridgeError("ENGINE", `GET ${path} answered no object`);
  }

  /** Undefined: 404. @throws BridgeError ENGINE, also where the answer is no object */
  async findObject(path: string, options?: CallOptions): Promise<JsonObject | undefined> {
    const { status, body } = await this.call("GET", path, { ...options, expected: [404] });
    if (status === 404) return undefined;
    if (isJsonObject(body)) return body;
    throw new BridgeError("ENGINE", `GET ${path} answered no object`);
  }

  /** @throws BridgeError ENGINE, also where the answer is no list of objects */
  async list(path: string, options?: CallOptions): Promise<JsonObject[]> {
    const { body } = await this.call("GET", path, options);
    const entries: readonly Json[] = Array.isArray(body) ? body : [null];
    if (entries.every((entry) => isJsonObject(entry))) return [...entries];
    throw new BridgeError("ENGINE", `GET ${path} answered no list`);
  }

  /** GET of an answer that goes on until `signal`, or the engine, ends it. @throws BridgeError SILENT, ENGINE */
  async stream(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const incoming = await this.#wire.stream(path, signal).catch((cause: unknown) => {
      throw silent(`GET ${path}`, cause);
    });
    if (incoming.statusCode === 200) return incoming;
    incoming.destroy();
    throw new BridgeError("ENGINE", `GET ${path} was answered ${incoming.statusCode}`);
  }
}

function silent(what: string, cause: unknown): BridgeError {
  return new BridgeError("SILENT", `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
