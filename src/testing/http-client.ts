import { once } from "node:events";
import {
  Agent,
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
} from "node:http";
import { connect } from "node:net";
import type { Readable } from "node:stream";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Name, value, name, value, … as they came. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** Of the first error in the body, whichever protocol wrote it; undefined where there is none. */
  readonly code: string | undefined;
}

export interface Ask {
  /** Name of a user of the test app; undefined: nobody signs in. */
  readonly as?: string | undefined;
  /** A list sends the header so many times. */
  readonly headers?: OutgoingHttpHeaders;
  /** A stream is sent in chunks, without a length. */
  readonly body?: Buffer | string | Readable;
}

/** One server on the loopback, over kept-alive connections. */
export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #port: number;
  readonly #authorize: (user: string) => string;

  constructor(port: number, authorize: (user: string) => string) {
    this.#port = port;
    this.#authorize = authorize;
  }

  async ask(method: string, path: string, { as, headers = {}, body }: Ask = {}): Promise<Answer> {
    const credentials = as === undefined ? {} : { authorization: this.#authorize(as) };
    const outgoing = request({
      ...{ host: "127.0.0.1", port: this.#port, agent: this.#agent, method, path },
      headers: { ...credentials, ...headers },
    });
    const answered = answerTo(outgoing);
    if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) outgoing.end(body);
    else body.pipe(outgoing);
    return toAnswer(await answered);
  }

  /**
   * Sends a request up to its body. Resolves when the server asks for that: whoever asks was let through, and nothing is
   * stored yet. What it resolves to sends the body.
   */
  async holdBody(method: string, path: string, { as, headers = {}, body }: Ask): Promise<() => Promise<Answer>> {
    const credentials = as === undefined ? {} : { authorization: this.#authorize(as) };
    const content = Buffer.from(String(body));
    const outgoing = request({
      ...{ host: "127.0.0.1", port: this.#port, agent: this.#agent, method, path },
      headers: { ...credentials, ...headers, expect: "100-continue", "content-length": content.length },
    });
    const answered = answerTo(outgoing);
    outgoing.flushHeaders();
    await Promise.race([once(outgoing, "continue"), answered.then(refusedEarly)]);
    return async () => {
      outgoing.end(content);
      return toAnswer(await answered);
    };
  }

  /**
   * Sends these very bytes on a connection of their own; resolves with everything that came back once the server closed
   * it. So the last request should ask for that.
   */
  async raw(bytes: string | Buffer): Promise<string> {
    const socket = connect({ host: "127.0.0.1", port: this.#port });
    const pieces: Buffer[] = [];
    socket.on("data", (piece: Buffer) => pieces.push(piece));
    // A server that refuses may reset while the rest is being sent; what it said before counts.
    socket.on("error", () => undefined);
    socket.setTimeout(60_000, () => socket.destroy());
    socket.write(bytes);
    await once(socket, "close");
    return Buffer.concat(pieces).toString("latin1");
  }

  /** Sends the beginning of a request and breaks the connection off. */
  async abort(bytes: string | Buffer): Promise<void> {
    const socket = connect({ host: "127.0.0.1", port: this.#port });
    socket.on("error", () => undefined);
    await once(socket, "connect");
    await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
    socket.resetAndDestroy();
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Once it is there, the connection may break over what is still being sent: that is nobody's error. */
function answerTo(outgoing: ClientRequest): Promise<IncomingMessage[]> {
  outgoing.on("error", () => undefined);
  return once(outgoing, "response");
}

async function refusedEarly([message]: IncomingMessage[]): Promise<never> {
  throw new Error(`the body was not asked for: ${message?.statusCode}`);
}

async function toAnswer([message]: readonly IncomingMessage[]): Promise<Answer> {
  if (message === undefined) throw new Error("no answer");
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece);
  const body = Buffer.concat(pieces);
  return {
    status: message.statusCode ?? 0,
    headers: message.headers,
    rawHeaders: message.rawHeaders,
    body,
    code: codeOf(body),
  };
}

function codeOf(body: Buffer): string | undefined {
  try {
    const parsed = JSON.parse(body.toString("utf8"));
    return parsed.errors?.[0]?.code ?? parsed.code;
  } catch {
    return undefined;
  }
}
