import type { OutgoingHttpHeaders } from "node:http";
import { readObject, readParameter } from "../oci/token-exchange.ts";
import { BridgeError } from "./errors.ts";
import { type Answer, HttpsExchange, type Outgoing } from "./https-exchange.ts";

export interface RegistryOptions {
  readonly origin: string;
  readonly ca: string | undefined;
  readonly timeoutMs: number;
  readonly account: { readonly name: string; readonly password: string } | undefined;
}

export interface Ask extends Outgoing {
  /** What a token must allow: `repository:host:port/org/app:pull`; undefined: the account itself signs in (REST). */
  readonly scope: string | undefined;
}

type Challenge =
  | { readonly kind: "bearer"; readonly path: string; readonly service: string }
  | { readonly kind: "basic" }
  | { readonly kind: "none" };

const MAX_TOKEN_BYTES = 64 * 1024;

/** A call of REST, as the account. */
export interface RestCall {
  readonly method: "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: object;
}

/** A call that was not carried out, and would not be the next time either. */
export interface Declined {
  readonly refused: string;
  /** Undefined: nobody was asked. */
  readonly status: number | undefined;
}

const MAX_REST_BYTES = 4 * 1024 * 1024;

/** Reads at the registry as any client does. What it answers is evidence to be judged, and at most bytes. */
export class RegistryClient {
  readonly #origin: string;
  readonly #account: RegistryOptions["account"];
  readonly #exchange: HttpsExchange;
  /** By scope. */
  readonly #tokens = new Map<string, string>();

  constructor({ account, ...options }: RegistryOptions) {
    this.#origin = options.origin;
    this.#account = account;
    this.#exchange = new HttpsExchange(options);
  }

  /** Undefined: 404. @throws BridgeError REGISTRY for every other answer than 200 */
  async find(ask: Ask): Promise<Answer | undefined> {
    let answer = await this.#send(ask);
    // A token ends after minutes.
    if (answer.status === 401 && ask.scope !== undefined && this.#tokens.delete(ask.scope))
      answer = await this.#send(ask);
    if (answer.status === 404) return undefined;
    if (answer.status === 200) return answer;
    throw this.#refused(ask.path, answer.status);
  }

  /** Or why not: nobody signs in, the account may not, the registry has no such thing. @throws BridgeError REGISTRY */
  async tryCall({ method, path, body }: RestCall): Promise<Answer | Declined> {
    if (this.#account === undefined) return { refused: "the bridge has no account at the registry", status: undefined };
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const answer = await this.#exchange.tell({
      ...{ method, path, body: sent, maxBytes: MAX_REST_BYTES, headers: this.#basic() },
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    const { status } = answer;
    const refusal = this.#refused(path, status);
    if (![401, 403, 404].includes(status)) throw refusal;
    const { detail } = readObject(answer.body);
    const { message } = refusal;
    return { refused: typeof detail === "string" ? `${message}: ${detail.slice(0, 300)}` : message, status };
  }

  close(): void {
    this.#exchange.close();
  }

  async #send({ scope, ...outgoing }: Ask): Promise<Answer> {
    const authorization = scope === undefined ? this.#basic() : await this.#authorize(scope);
    return this.#exchange.get({ ...outgoing, headers: { ...outgoing.headers, ...authorization } });
  }

  #basic(): OutgoingHttpHeaders {
    if (this.#account === undefined) return {};
    const { name, password } = this.#account;
    return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` };
  }

  async #authorize(scope: string): Promise<OutgoingHttpHeaders> {
    const known = this.#tokens.get(scope);
    if (known !== undefined) return { authorization: `Bearer ${known}` };
    const challenge = await this.#readChallenge();
    if (challenge.kind === "none") return {};
    if (challenge.kind === "basic") return this.#basic();
    const token = await this.#fetchToken(challenge, scope);
    this.#tokens.set(scope, token);
    return { authorization: `Bearer ${token}` };
  }

  async #readChallenge(): Promise<Challenge> {
    const { status, headers } = await this.#exchange.get({ path: "/v2/", maxBytes: MAX_TOKEN_BYTES });
    if (status === 200) return { kind: "none" };
    if (status !== 401) throw this.#refused("/v2/", status);
    const header = headers["www-authenticate"] ?? "";
    if (/^basic\b/i.test(header)) return { kind: "basic" };
    const [realm, service] = ["realm", "service"].map((name) => readParameter(header, name));
    const url = URL.parse(realm ?? "");
    // D06, C01: the password goes to the registry's own origin and nowhere else, whatever the challenge says.
    if (url?.origin !== this.#origin) {
      throw new BridgeError("REGISTRY", `${this.#origin} sends callers elsewhere to sign in: ${realm?.slice(0, 200)}`);
    }
    return { kind: "bearer", path: url.pathname, service: service ?? "" };
  }

  async #fetchToken({ path, service }: Extract<Challenge, { kind: "bearer" }>, scope: string): Promise<string> {
    const query = new URLSearchParams({ service, scope });
    const ask = { path: `${path}?${query}`, maxBytes: MAX_TOKEN_BYTES, headers: this.#basic() };
    const { status, body } = await this.#exchange.get(ask);
    if (status !== 200) throw this.#refused(path, status);
    const { token } = readObject(body);
    if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) return token;
    throw new BridgeError("REGISTRY", `${this.#origin}${path} answered no token`);
  }

  #refused(path: string, status: number): BridgeError {
    const who = this.#account === undefined ? "nobody is signed in" : `signed in as ${this.#account.name}`;
    const why = status === 401 || status === 403 ? ` (${who})` : status >= 300 && status < 400 ? " (not followed)" : "";
    return new BridgeError("REGISTRY", `${this.#origin}${path} was answered ${status}${why}`);
  }
}
