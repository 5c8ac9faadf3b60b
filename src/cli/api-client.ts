import { once } from "node:events";
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { rootCertificates } from "node:tls";
import { isJsonObject, type Json, type JsonObject, parseJson } from "../oci/json.ts";
import { CliError } from "./errors.ts";

export interface ApiClientOptions {
  readonly url: URL;
  /** PEM of a CA to trust besides the well-known ones. */
  readonly ca: string | undefined;
  readonly name: string;
  readonly password: string;
}

export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
}

const timeoutMs = 30_000;

/** The REST API of a running registry, as one user. */
export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /** @throws CliError that says who was refused what, why, and what to do next */
  async call(method: string, path: string, doing: string, body?: Json): Promise<Answer> {
    const answer = await this.find(method, path, doing, body);
    if (answer === undefined)
      throw this.#refused(doing, "there is no such thing, or it is hidden from you", "404 not-found");
    return answer;
  }

  /** Undefined for what is not there. */
  async find(method: string, path: string, doing: string, body?: Json): Promise<Answer | undefined> {
    const { status, body: answer } = await this.#send(method, path, body);
    if (status === 404) return undefined;
    if (status < 300) return { status, body: answer };
    throw this.#refusedBy(status, answer, doing);
  }

  /** Writes the body of an answer to `output` as it arrives. @throws CliError as {@link call} does */
  async stream(path: string, accept: string, doing: string, output: Writable): Promise<void> {
    const incoming = await this.#request("GET", path, undefined, { accept });
    if (incoming.statusCode === 200) return pipeline(incoming, output, { end: false });
    const { status, body } = await readAnswer(incoming);
    throw this.#refusedBy(status, body, doing);
  }

  #refusedBy(status: number, { detail, code }: JsonObject, doing: string): CliError {
    const why = typeof detail === "string" ? detail : "the answer says no more";
    return this.#refused(doing, why, `${status} ${typeof code === "string" ? code : ""}`.trim());
  }

  #refused(doing: string, why: string, code: string): CliError {
    const { name, url } = this.#options;
    const next = code.startsWith("401")
      ? `\nsigned in as ${name}: set GOLDSEAL_PASSWORD (or GOLDSEAL_ADMIN_PASSWORD) to the right password, or choose another user with --as`
      : "";
    return new CliError(`${url.origin} does not let ${name} ${doing}: ${why} (${code})${next}`);
  }

  async #send(method: string, path: string, body: Json | undefined): Promise<Answer> {
    const incoming = await this.#request(method, path, body);
    try {
      return await readAnswer(incoming);
    } catch (cause) {
      throw unreachable(this.#options.url, cause);
    }
  }

  async #request(
    method: string,
    path: string,
    body: Json | undefined,
    headers: OutgoingHttpHeaders = {},
  ): Promise<IncomingMessage> {
    const { url, ca, name, password } = this.#options;
    const send = url.protocol === "https:" ? httpsRequest : httpRequest;
    const outgoing = send(new URL(path, url), {
      method,
      timeout: timeoutMs,
      headers: {
        authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
        "content-type": "application/json",
        ...headers,
      },
      ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer for 30 s")));
    try {
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
      const [incoming]: IncomingMessage[] = await once(outgoing, "response");
      if (incoming === undefined) throw new Error("no answer");
      return incoming;
    } catch (cause) {
      throw unreachable(url, cause);
    }
  }
}

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const isJson = /json/.test(incoming.headers["content-type"] ?? "");
  const body = isJson ? parseJson(Buffer.concat(chunks)) : null;
  return { status: incoming.statusCode ?? 0, body: isJsonObject(body) ? body : {} };
}

function unreachable({ origin }: URL, cause: unknown): CliError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const why = cause instanceof Error ? cause.message : String(cause);
  const next =
    code === "ECONNREFUSED"
      ? "is it running (npm start)? Another address goes into --url or GOLDSEAL_PUBLIC_URL"
      : /CERT|SIGNATURE|ISSUER/.test(code)
        ? "its certificate is not trusted here: name the CA with --ca <data folder>/ca.crt, and use a name that the certificate has"
        : "check --url and the network";
  return new CliError(`cannot talk to ${origin}: ${why}\n${next}`, { cause });
}
