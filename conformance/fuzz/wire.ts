/** HTTP/1.1 as bytes: the fuzzer writes what no well-behaved client library would, and reads what comes back strictly. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface WireRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Buffer;
  /** `short` announces more than it sends; the client then hangs up. Default: a length. */
  readonly framing?: "length" | "chunked" | "short";
}

export interface WireAnswer {
  readonly status: number;
  /** Names in lower case, in order; a repeated name stands there again. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  readonly ms: number;
}

export type Outcome = WireAnswer | { readonly failed: "closed" | "timeout" | "not-http"; readonly detail: string };

export function toBytes({ method, target, headers, body, framing = "length" }: WireRequest): Buffer {
  const lines = [`${method} ${target} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  if (body === undefined) return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  if (framing === "chunked") {
    lines.push("Transfer-Encoding: chunked");
    const middle = body.length >> 1;
    const pieces = [body.subarray(0, middle), body.subarray(middle)].filter(({ length }) => length > 0);
    const chunks = pieces.flatMap((piece) => [`${piece.length.toString(16)}\r\n`, piece, "\r\n"]);
    return Buffer.concat([`${lines.join("\r\n")}\r\n\r\n`, ...chunks, "0\r\n\r\n"].map(latin1));
  }
  lines.push(`Content-Length: ${body.length + (framing === "short" ? 1_000 : 0)}`);
  return Buffer.concat([latin1(`${lines.join("\r\n")}\r\n\r\n`), body]);
}

const latin1 = (text: string | Buffer): Buffer => (typeof text === "string" ? Buffer.from(text, "latin1") : text);

/** One connection that is used again for as long as the server keeps it. */
export class Connection {
  readonly #port: number;
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends a whole request and reads its one answer. */
  async exchange(bytes: Buffer, { method, timeoutMs }: { method: string; timeoutMs: number }): Promise<Outcome> {
    const socket = await this.#open();
    const started = performance.now();
    socket.write(bytes);
    const outcome = await this.#read(method, started, timeoutMs);
    const last =
      "failed" in outcome || outcome.headers.some(([name, value]) => name === "connection" && value === "close");
    if (last) this.close();
    else if (this.#received.length > 0) {
      const detail = this.#received.subarray(0, 200).toString("latin1");
      this.close();
      return { failed: "not-http", detail: `bytes after the answer: ${detail}` };
    }
    return outcome;
  }

  /** Sends bytes on a connection of their own and gathers what comes until the server closes, or for `ms`. */
  async gather(
    bytes: Buffer,
    ms: number,
  ): Promise<{ readonly text: string; readonly closed: boolean; readonly ms: number }> {
    this.close();
    const socket = await this.#open();
    const started = performance.now();
    socket.write(bytes);
    while (!socket.destroyed && performance.now() - started < ms) await this.#wait(started + ms - performance.now());
    const closed = socket.destroyed;
    const text = this.#received.toString("latin1");
    this.close();
    return { text, closed, ms: performance.now() - started };
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #open(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed) return this.#socket;
    const socket = connect({ host: "127.0.0.1", port: this.#port, noDelay: true });
    this.#socket = socket;
    this.#received = Buffer.alloc(0);
    socket.on("data", (piece: Buffer) => {
      this.#received = this.#received.length === 0 ? piece : Buffer.concat([this.#received, piece]);
      this.#wake();
    });
    socket.on("close", () => this.#wake());
    // The server may reset a connection whose request it refused; "close" follows.
    socket.on("error", () => undefined);
    await once(socket, "connect");
    return socket;
  }

  async #read(method: string, started: number, timeoutMs: number): Promise<Outcome> {
    const socket = this.#socket;
    for (;;) {
      const answer = this.#parse(method, started);
      if (answer !== undefined) return answer;
      if (socket?.destroyed !== false)
        return { failed: "closed", detail: this.#received.toString("latin1").slice(0, 200) };
      const left = started + timeoutMs - performance.now();
      if (left <= 0) return { failed: "timeout", detail: this.#received.toString("latin1").slice(0, 200) };
      await this.#wait(left);
    }
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, ms));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Takes one final answer off what was received; undefined while it is not whole. */
  #parse(method: string, started: number): Outcome | undefined {
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) return undefined;
      const head = this.#received.toString("latin1", 0, end);
      const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 0);
      if (status === 0) return { failed: "not-http", detail: head.slice(0, 200) };
      if (status < 200) {
        this.#received = this.#received.subarray(end + 4);
        continue;
      }
      const headers = head.split("\r\n").slice(1).map(splitHeader);
      const noBody = method === "HEAD" || status === 204 || status === 304;
      const rest = this.#received.subarray(end + 4);
      const body = noBody ? { content: Buffer.alloc(0), taken: 0 } : takeBody(rest, headers);
      if (body === undefined) return undefined;
      this.#received = rest.subarray(body.taken);
      return { status, headers, body: Buffer.from(body.content), ms: performance.now() - started };
    }
  }
}

function splitHeader(line: string): readonly [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
}

function takeBody(rest: Buffer, headers: readonly (readonly [string, string])[]) {
  const length = headers.find(([name]) => name === "content-length")?.[1];
  if (length !== undefined) {
    const taken = Number(length);
    return rest.length < taken ? undefined : { content: rest.subarray(0, taken), taken };
  }
  return takeChunks(rest);
}

function takeChunks(rest: Buffer) {
  const pieces: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = rest.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(rest.toString("latin1", at, line), 16);
    const next = line + 2 + size + 2;
    if (rest.length < next) return undefined;
    if (size === 0) return { content: Buffer.concat(pieces), taken: next };
    pieces.push(rest.subarray(line + 2, line + 2 + size));
    at = next;
  }
}
