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

/**
 * How long a password that was not taken is not sent again. A registry closes a source after ten wrong ones in a minute, and with
 * the bridge whoever else comes by the same address: also the administrator who would make the account.
 */
const PAUSE_MS = 20_000;

/** Reads at the registry as any client does. What it answers is evidence to be judged, and at most bytes. */
export class RegistryClient {
  readonly #origin: string;
  readonly #account: RegistryOptions["account"];
  readonly #exchange: HttpsExchange;
  /** By scope. */
  readonly #tokens = new Map<string, string>();
  /** Of a clock that nobody sets: before it the password is not sent. */
  #closedUntilMs = 0;

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
    const outgoing = { method, path, body: sent, maxBytes: MAX_REST_BYTES };
    const answer = await this.#signIn((headers) => this.#exchange.tell({ ...outgoing, headers }));
    if (answer === undefined) return { refused: this.#closed().message, status: 401 };
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
    const get = (authorization: OutgoingHttpHeaders) =>
      this.#exchange.get({ ...outgoing, headers: { ...outgoing.headers, ...authorization } });
    const token = scope === undefined ? "basic" : await this.#findToken(scope);
    if (token === undefined) return get({});
    if (token !== "basic") return get({ authorization: `Bearer ${token.bearer}` });
    const answer = await this.#signIn(get);
    if (answer === undefined) throw this.#closed();
    return answer;
  }

  /** With the account's password, where there is one; undefined: it was not taken a moment ago, and is not sent. */
  async #signIn(send: (headers: OutgoingHttpHeaders) => Promise<Answer>): Promise<Answer | undefined> {
    if (this.#account === undefined) return send({});
    const nowMs = performance.now();
    if (nowMs < this.#closedUntilMs) return undefined;
    // One of those that wait is the one that tries.
    if (this.#closedUntilMs > 0) this.#closedUntilMs = nowMs + PAUSE_MS;
    const { name, password } = this.#account;
    const answer = await send({ authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}` });
    this.#closedUntilMs = answer.status === 401 ? performance.now() + PAUSE_MS : 0;
    return answer;
  }

  #closed(): BridgeError {
    const seconds = Math.ceil((this.#closedUntilMs - performance.now()) / 1000);
    const { name = "" } = this.#account ?? {};
    return new BridgeError(
      "REGISTRY",
      `${this.#origin} did not take the password of ${name}; it is tried again in ${seconds} s`,
    );
  }

  /** Undefined: the registry asks for none. */
  async #findToken(scope: string): Promise<{ readonly bearer: string } | "basic" | undefined> {
    const known = this.#tokens.get(scope);
    if (known !== undefined) return { bearer: known };
    const challenge = await this.#readChallenge();
    if (challenge.kind === "none") return undefined;
    if (challenge.kind === "basic") return "basic";
    const bearer = await this.#fetchToken(challenge, scope);
    this.#tokens.set(scope, bearer);
    return { bearer };
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
    const ask = { path: `${path}?${query}`, maxBytes: MAX_TOKEN_BYTES };
    const answer = await this.#signIn((headers) => this.#exchange.get({ ...ask, headers }));
    if (answer === undefined) throw this.#closed();
    const { status, body } = answer;
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
