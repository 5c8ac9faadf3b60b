import { once } from "node:events";
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { BridgeError } from "./errors.ts";

export interface ExchangeOptions {
  /** `https://host:port`: nothing is ever sent anywhere else. */
  readonly origin: string;
  /** PEM: the only CA that counts; undefined: the well-known ones. */
  readonly ca: string | undefined;
  /** From the first byte sent to the last one received. */
  readonly timeoutMs: number;
}

export interface Outgoing {
  /** With its query, from the root of the server. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  /** A longer answer is none. */
  readonly maxBytes: number;
}

/** JSON that somebody is told. */
export interface Telling extends Outgoing {
  readonly method: "POST" | "PUT" | "DELETE";
  /** Undefined: none. */
  readonly body: Uint8Array | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Requests over verified TLS, and the whole answer: bounded in bytes and time, no redirect followed, no content coding undone.
 * @throws BridgeError REGISTRY
 * @see hardening T02, T10, C01, C05
 */
export class HttpsExchange {
  readonly #options: ExchangeOptions;
  readonly #agent: Agent;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    const trust = options.ca === undefined ? {} : { ca: options.ca };
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: 8,
      minVersion: "TLSv1.2",
      rejectUnauthorized: true,
      ...trust,
    });
  }

  get(outgoing: Outgoing): Promise<Answer> {
    return this.#exchange({ ...outgoing, method: "GET", body: undefined });
  }

  /** Once: whether it arrived when no answer came, nobody knows. */
  tell(telling: Telling): Promise<Answer> {
    return this.#exchange(telling);
  }

  async #exchange(asked: Asked): Promise<Answer> {
    try {
      return await this.#send(asked);
    } catch (cause) {
      if (cause instanceof BridgeError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new BridgeError("REGISTRY", `${this.#options.origin}${asked.path}: ${why}`, { cause });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send({ method, path, headers, body: content, maxBytes }: Asked): Promise<Answer> {
    const { origin, timeoutMs } = this.#options;
    // A timer of our own: one that a byte now and then puts off would wait for ever.
    const signal = AbortSignal.timeout(timeoutMs);
    const request = httpsRequest(new URL(origin + path), {
      ...{ method, agent: this.#agent, signal, maxHeaderSize: 16 * 1024 },
      headers: { "accept-encoding": "identity", ...headers, ...describe(content) },
    });
    request.end(content);
    const [incoming]: IncomingMessage[] = await once(request, "response");
    if (incoming === undefined) throw new Error("no answer");
    const coding = incoming.headers["content-encoding"] ?? "identity";
    const body = await readBody(incoming, maxBytes);
    if (coding !== "identity") throw new BridgeError("REGISTRY", `${path} came with the coding ${coding}, unasked`);
    return { status: incoming.statusCode ?? 0, headers: incoming.headers, body };
  }
}

type Asked = Omit<Telling, "method"> & { readonly method: Telling["method"] | "GET" };

function describe(content: Uint8Array | undefined): OutgoingHttpHeaders {
  return content === undefined ? {} : { "content-type": "application/json", "content-length": content.length };
}

async function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of incoming) {
    size += piece.length;
    // Leaving the loop hangs up.
    if (size > maxBytes) throw new Error(`an answer of more than ${maxBytes} bytes`);
    pieces.push(piece);
  }
  if (!incoming.complete) throw new Error("the answer was cut short");
  return Buffer.concat(pieces);
}
