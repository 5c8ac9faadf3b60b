import { once } from "node:events";
import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from "node:http";
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
    const answered = once(outgoing, "response");
    if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) outgoing.end(body);
    else body.pipe(outgoing);
    const [message] = await answered;
    const pieces: Buffer[] = [];
    for await (const piece of message) pieces.push(piece);
    const content = Buffer.concat(pieces);
    const { statusCode: status, headers: received, rawHeaders } = message;
    return { status, headers: received, rawHeaders, body: content, code: codeOf(content) };
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
    socket.setTimeout(5_000, () => socket.destroy());
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

function codeOf(body: Buffer): string | undefined {
  try {
    const parsed = JSON.parse(body.toString("utf8"));
    return parsed.errors?.[0]?.code ?? parsed.code;
  } catch {
    return undefined;
  }
}
