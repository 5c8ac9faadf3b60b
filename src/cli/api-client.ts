import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import type { Writable } from "node:stream";
import { isJsonObject, type Json, type JsonObject, parseJson } from "../oci/json.ts";
import { linesOf } from "../oci/lines.ts";
import { CliError } from "./errors.ts";
import { basicAuth, exchange, readBody, type Server, unreachable } from "./exchange.ts";

export interface ApiClientOptions extends Server {
  readonly name: string;
  /** A personal token does too. */
  readonly password: string;
  /** Told what is waited for; called back when it is there. */
  readonly onWait?: (doing: string) => () => void;
}

export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
}

const pageSize = 1000;

/** The REST API of a running registry, as one user. */
export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  get origin(): string {
    return this.#options.url.origin;
  }

  get user(): string {
    return this.#options.name;
  }

  /** @throws CliError that says who was refused what, why, and what to do next */
  async call(method: string, path: string, doing: string, body?: Json): Promise<Answer> {
    return this.#expect(await this.#send(method, path, doing, body), doing);
  }

  /** Sends bytes as they are. @throws CliError as {@link call} does */
  async putBytes(path: string, doing: string, body: Buffer): Promise<Answer> {
    return this.#expect(await this.#send("PUT", path, doing, body), doing);
  }

  /** The answer's bytes as they came; undefined for what is not there. @throws CliError as {@link call} does */
  async findBytes(path: string, doing: string): Promise<Buffer | undefined> {
    const { url, onWait } = this.#options;
    const done = onWait?.(doing);
    try {
      const incoming = await this.#request("GET", path, undefined);
      if (incoming.statusCode === 200) return await readBody(incoming);
      const answer = await readAnswer(incoming);
      return answer.status === 404 ? undefined : void this.#expect(answer, doing);
    } catch (cause) {
      throw cause instanceof CliError ? cause : unreachable(url, cause);
    } finally {
      done?.();
    }
  }

  /** Makes what is not there yet. @throws CliError as {@link call} does, and where it is there */
  async make(path: string, doing: string, body: Json): Promise<Answer> {
    const answer = await this.#send("PUT", path, doing, body, { "if-none-match": "*" });
    if (answer.status === 412) throw new CliError(`cannot ${doing}: it is there already, and nothing was changed`);
    return this.#expect(answer, doing);
  }

  /** Whatever is answered. @throws CliError where nobody answers */
  try(method: string, path: string, doing: string): Promise<Answer> {
    return this.#send(method, path, doing, undefined);
  }

  /** Undefined where others changed it meanwhile (412). @throws CliError as {@link call} does */
  async unlessChanged(method: string, path: string, doing: string, body: Json): Promise<Answer | undefined> {
    const answer = await this.#send(method, path, doing, body);
    return answer.status === 412 ? undefined : this.#expect(answer, doing);
  }

  /** Undefined for what is not there. */
  async find(method: string, path: string, doing: string, body?: Json): Promise<Answer | undefined> {
    const answer = await this.#send(method, path, doing, body);
    return answer.status === 404 ? undefined : this.#expect(answer, doing);
  }

  /** All entries of a list, page after page; `name` is the field they are in. */
  async list(path: string, name: string, doing: string): Promise<Json[]> {
    const entries: Json[] = [];
    let next: string | undefined = `${path}?limit=${pageSize}`;
    while (next !== undefined) {
      const { body } = await this.call("GET", next, doing);
      entries.push(...(Array.isArray(body[name]) ? body[name] : []));
      next = typeof body.next === "string" ? body.next : undefined;
    }
    return entries;
  }

  /** Writes the body of an answer to `output` as it arrives. @throws CliError as {@link call} does */
  async stream(path: string, accept: string, doing: string, output: Writable): Promise<void> {
    const { url, onWait } = this.#options;
    const done = onWait?.(doing);
    try {
      const incoming = await this.#request("GET", path, undefined, { accept });
      if (incoming.statusCode === 200) {
        const { pipeline } = await import("node:stream/promises");
        await pipeline(incoming, output, { end: false });
      } else this.#expect(await readAnswer(incoming), doing);
    } catch (cause) {
      throw cause instanceof CliError ? cause : unreachable(url, cause);
    } finally {
      done?.();
    }
  }

  /**
   * Sends bytes whose answer comes line by line, each an object of JSON. Resolves to the answer of a request that was refused, else
   * when the last line is there.
   * @throws CliError where nobody answers, or no longer
   */
  async postLines(
    {
      path,
      body,
      headers,
    }: { readonly path: string; readonly body: Uint8Array; readonly headers: OutgoingHttpHeaders },
    onLine: (line: JsonObject) => Promise<void>,
  ): Promise<Answer | undefined> {
    try {
      const incoming = await this.#request("POST", path, Buffer.from(body), headers);
      if (incoming.statusCode !== 200) return await readAnswer(incoming);
      for await (const line of linesOf(incoming)) {
        const value = parseJson(line);
        if (isJsonObject(value)) await onLine(value);
      }
      return undefined;
    } catch (cause) {
      throw unreachable(this.#options.url, cause);
    }
  }

  #expect(answer: Answer, doing: string): Answer {
    const { status, body } = answer;
    if (status < 300) return answer;
    const detail = typeof body.detail === "string" ? body.detail : "the answer says no more";
    throw this.#refused(doing, detail, `${status} ${typeof body.code === "string" ? body.code : ""}`.trim());
  }

  #refused(doing: string, why: string, code: string): CliError {
    const { name, url } = this.#options;
    const next = code.startsWith("401")
      ? `\nsigned in as ${name}: goldseal login, or set GOLDSEAL_PASSWORD (or GOLDSEAL_ADMIN_PASSWORD) to the right password, or choose another user with --as`
      : "";
    return new CliError(`${url.origin} does not let ${name} ${doing}: ${why} (${code})${next}`);
  }

  async #send(
    method: string,
    path: string,
    doing: string,
    body: Json | Buffer | undefined,
    headers: OutgoingHttpHeaders = {},
  ): Promise<Answer> {
    const { url, onWait } = this.#options;
    const done = onWait?.(doing);
    try {
      return await readAnswer(await this.#request(method, path, body, headers));
    } catch (cause) {
      throw unreachable(url, cause);
    } finally {
      done?.();
    }
  }

  #request(
    method: string,
    path: string,
    body: Json | Buffer | undefined,
    headers: OutgoingHttpHeaders = {},
  ): Promise<IncomingMessage> {
    const { name, password } = this.#options;
    const own = { authorization: basicAuth(name, password), "content-type": "application/json" };
    const sent = body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body);
    return exchange(this.#options, { method, path, headers: { ...own, ...headers }, body: sent });
  }
}

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  const content = await readBody(incoming);
  const isJson = /json/.test(incoming.headers["content-type"] ?? "");
  const body = isJson ? parseJson(content) : null;
  return { status: incoming.statusCode ?? 0, body: isJsonObject(body) ? body : {} };
}
