import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, RequestOptions } from "node:http";
import { request as httpRequest } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { type Json, JsonError, parseJson } from "../oci/json.ts";
import { NOTE_HEADER, NoteWriter } from "./authz/allow-note.ts";
import type { Endpoint } from "./bridge-config.ts";

export interface EngineAsk {
  readonly method: "GET" | "POST" | "DELETE";
  /** With its query, below the API's version. */
  readonly path: string;
  readonly body?: Uint8Array | undefined;
  readonly headers?: OutgoingHttpHeaders | undefined;
  /** From the first byte sent to the last one received. */
  readonly timeoutMs: number;
  /** Without a note, as anybody would ask. */
  readonly isBare?: boolean | undefined;
}

export interface EngineAnswer {
  readonly status: number;
  /** Undefined where there is none, or it is no JSON. */
  readonly body: Json | undefined;
}

/** Whatever carries calls to an engine: to one of them, or to whichever of the managers is there. */
export interface EngineWire {
  /** @throws UnsentError where the engine cannot have heard of it; every other Error: it may have */
  exchange(ask: EngineAsk): Promise<EngineAnswer>;
  /** An answer that goes on until `signal`, or the engine, ends it. */
  stream(path: string, signal: AbortSignal): Promise<IncomingMessage>;
}

/** No connection came about. */
export class UnsentError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UnsentError";
  }
}

/** 20.10's; later engines speak it too. */
const API = "/v1.41";
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
/** A node that is gone answers no packet: without this each call to it would take as long as it may. */
const CONNECT_MS = 5_000;
/**
 * A node that is gone after it heard of a call does not answer either, and nothing would tell so until the call's time is over: the
 * system asks after this, and once a second from then on; ten times without an answer end the connection.
 */
const QUIET_MS = 1_000;
/** How long a connection is kept for the next reader, unless told otherwise: the calls of one deployment come together. */
const KEPT_MS = 1_000;

const CLOSED = "the bridge is stopping";

/** A kept connection was gone, or nobody answered on it: what was asked may be asked once more, if it may be asked twice. */
class StaleError extends Error {}

/**
 * One engine, over its socket or mutual TLS. Each call carries a note on its exact bytes, for the engine's authorization plug-in.
 * What is read may go over a connection that was kept; a change never does: whether the engine heard of it on one that is just
 * being closed, nobody could tell.
 * @see docs/decisions/0048, 0052
 */
export class EngineSocket implements EngineWire {
  readonly #where: RequestOptions;
  readonly #send: typeof httpRequest;
  /** After which the request's bytes go out. */
  readonly #connected: "connect" | "secureConnect";
  readonly #notes: NoteWriter | undefined;
  /** Each call its own connection; over TLS the next one goes on with the session of the last. */
  readonly #fresh: Agent | false;
  /** Undefined: to connect costs nothing. */
  readonly #kept: Agent | undefined;
  readonly #underWay = new Set<ClientRequest>();
  #isClosed = false;

  private constructor(where: RequestOptions, isTls: boolean, notes: NoteWriter | undefined, keptMs: number) {
    this.#where = where;
    this.#send = isTls ? (httpsRequest as typeof httpRequest) : httpRequest;
    this.#connected = isTls ? "secureConnect" : "connect";
    this.#notes = notes;
    this.#fresh = isTls && new Agent({ keepAlive: false });
    this.#kept = isTls ? new Agent({ keepAlive: true, maxFreeSockets: 4, timeout: keptMs }) : undefined;
  }

  /** Reads the files that the endpoint names. */
  static async open(endpoint: Endpoint, keptMs = KEPT_MS): Promise<EngineSocket> {
    const notes = await openNotes(endpoint);
    if (endpoint.kind === "unix") return new EngineSocket({ socketPath: endpoint.socket }, false, notes, keptMs);
    const { host, port } = endpoint;
    const [ca, cert, key] = await Promise.all([endpoint.ca, endpoint.cert, endpoint.key].map((file) => readFile(file)));
    const tls = { host, port, ca, cert, key, rejectUnauthorized: true, minVersion: "TLSv1.2" };
    return new EngineSocket(tls as RequestOptions, true, notes, keptMs);
  }

  async exchange({ timeoutMs, ...ask }: EngineAsk): Promise<EngineAnswer> {
    const signal = AbortSignal.timeout(timeoutMs);
    const incoming = await (ask.method === "GET" ? this.#read(ask, signal) : this.#open(ask, signal));
    return { status: incoming.statusCode ?? 0, body: toJson(await readBody(incoming)) };
  }

  async stream(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#open({ method: "GET", path, body: undefined }, signal);
  }

  /** For good: who waits for an answer hears at once that there is none. */
  close(): void {
    this.#isClosed = true;
    for (const request of this.#underWay) request.destroy(new Error(CLOSED));
    this.#kept?.destroy();
  }

  async #read(ask: Asked, signal: AbortSignal): Promise<IncomingMessage> {
    if (this.#kept === undefined) return this.#open(ask, signal);
    try {
      return await this.#open(ask, signal, this.#kept);
    } catch (error) {
      if (!(error instanceof StaleError)) throw error;
      return this.#open(ask, signal);
    }
  }

  async #open(
    { method, path, body, headers: more, isBare = false }: Asked,
    signal: AbortSignal,
    agent: Agent | false = this.#fresh,
  ): Promise<IncomingMessage> {
    if (this.#isClosed) throw new UnsentError(CLOSED);
    const headers: OutgoingHttpHeaders = { ...more };
    if (body !== undefined)
      Object.assign(headers, { "content-type": "application/json", "content-length": body.length });
    const uri = `${API}${path}`;
    const note = isBare ? undefined : this.#notes?.write({ method, uri, body: body ?? Buffer.alloc(0) });
    if (note !== undefined) headers[NOTE_HEADER] = note;
    const request = this.#send({ ...this.#where, method, path: uri, headers, signal, agent });
    this.#underWay.add(request);
    request.once("close", () => this.#underWay.delete(request));
    let isConnected = false;
    request.once("socket", (socket) => {
      socket.setKeepAlive(true, QUIET_MS);
      if (!request.reusedSocket) socket.once(this.#connected, () => (isConnected = true));
    });
    const giveUp = setTimeout(() => {
      if (!isConnected) request.destroy(new Error(`no connection within ${CONNECT_MS / 1000} s`));
    }, CONNECT_MS);
    try {
      request.end(body);
      const [incoming]: IncomingMessage[] = await once(request, "response");
      if (incoming === undefined) throw new Error("no answer");
      return incoming;
    } catch (cause) {
      if (request.reusedSocket && !signal.aborted) throw new StaleError("the connection is gone", { cause });
      if (isConnected || request.reusedSocket) throw cause;
      throw new UnsentError(cause instanceof Error ? cause.message : String(cause), { cause });
    } finally {
      clearTimeout(giveUp);
    }
  }
}

type Asked = Omit<EngineAsk, "timeoutMs">;

/** What a plug-in compares a note with is its machine's clock. */
async function openNotes({ allowKeyFile }: Endpoint): Promise<NoteWriter | undefined> {
  return allowKeyFile === undefined
    ? undefined
    : new NoteWriter(await readFile(allowKeyFile, "utf8"), () => new Date());
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
    // Whoever can start a container could hide it, and all others of a list, behind a number of 64 bits.
    return parseJson(bytes, { maxDepth: 64, roundNumbers: true });
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
