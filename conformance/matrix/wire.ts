/** Requests over kept connections, from any address of the loopback network, and what must be equal in two answers. */
import { Agent, type IncomingMessage, request } from "node:http";

export interface Ask {
  readonly authorization?: string | undefined;
  readonly body?: string | Buffer | undefined;
  readonly type?: string | undefined;
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | undefined;
  /** Address that the connection comes from: wrong passwords count against it. */
  readonly from?: string | undefined;
}

export interface Answer {
  readonly status: number;
  /** As they came: name, value, name, value. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export type Sent = readonly [method: string, path: string, ask?: Ask];

export class Wire {
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });
  /** Answers so far. */
  count = 0;

  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  async ask(...[method, path, { authorization, body, type, headers = {}, from = "127.0.0.1" } = {}]: Sent) {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = request({
      host: "127.0.0.1",
      port: this.#port,
      method,
      path,
      agent: this.#agent,
      localAddress: from,
    });
    for (const [name, value] of Object.entries(headers)) outgoing.setHeader(name, value);
    if (authorization !== undefined) outgoing.setHeader("Authorization", authorization);
    if (body !== undefined) outgoing.setHeader("Content-Type", type ?? "application/json");
    outgoing.setHeader("Content-Length", Buffer.byteLength(body ?? ""));
    outgoing.once("response", resolve).once("error", reject).end(body);
    const message = await promise;
    const pieces: Buffer[] = [];
    for await (const piece of message) pieces.push(piece);
    this.count++;
    const { statusCode: status = 0, rawHeaders } = message;
    return { status, rawHeaders, headers: message.headers, body: Buffer.concat(pieces) } satisfies Answer;
  }

  /** @throws Error when the answer has another status */
  async must(status: number, ...sent: Sent): Promise<Answer> {
    const answer = await this.ask(...sent);
    if (answer.status === status) return answer;
    throw new Error(`${sent[0]} ${sent[1]} should have answered ${status}: ${answer.status} ${answer.body}`);
  }

  close(): void {
    this.#agent.destroy();
  }
}

export const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`;
export const bearer = (token: string): string => `Bearer ${token}`;

interface ErrorBody {
  readonly code?: string;
  readonly errors?: readonly { readonly code: string }[];
}

/** `DENIED` of `/v2/` and `/token`, `forbidden` of REST, "" where the body names none. */
export function codeOf({ headers, body }: Answer): string {
  if (!/json/.test(headers["content-type"] ?? "") || body.length === 0) return "";
  const parsed: ErrorBody = JSON.parse(body.toString());
  return parsed.errors?.[0]?.code ?? (/problem/.test(headers["content-type"] ?? "") ? (parsed.code ?? "") : "");
}

const VOLATILE = new Set(["date", "x-request-id"]);
/** Of a decision to ask about: 16 characters, anew in every refusal. */
const DECISION = /[a-km-np-z2-9]{16}(?="|\))/g;

/**
 * What somebody could tell hidden from missing by: status, headers but the date and the request's id, and the body. Names
 * stand in both as they were asked for, so they are put out; they must be of one length, for the length stays.
 */
export function toComparable({ status, rawHeaders, body }: Answer, name: string): string {
  const lines: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (!VOLATILE.has(rawHeaders[at]?.toLowerCase() ?? "")) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  }
  const [, ...path] = name.split("/");
  const without = (text: string) =>
    text
      .replace(DECISION, "<decision>")
      .replaceAll(name, "<name>")
      .replaceAll(`"${path.join("/")}"`, '"<path>"');
  const text = without(body.toString("latin1"));
  return [String(status), ...lines.map(without), String(body.length), text].join("\n");
}
