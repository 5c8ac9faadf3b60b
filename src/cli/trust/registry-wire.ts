import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { isJsonObject } from "../../oci/json.ts";
import { readObject, readParameter } from "../../oci/token-exchange.ts";
import { CliError } from "../errors.ts";
import { basicAuth, exchange, type Outgoing, readBody, type Server, unreachable } from "../exchange.ts";

export interface WireOptions extends Server {
  /** Undefined: nobody signs in. */
  readonly account: { readonly name: string; readonly password: string } | undefined;
  /** Told what is waited for; called back when it is there. */
  readonly onWait: (doing: string) => () => void;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

export interface Ask extends Outgoing {
  /** What a token must allow: `repository:host:port/org/app:pull,push`. */
  readonly scope: string;
  /** For people: `read the trust data of …`. */
  readonly doing: string;
  /** More is refused; default 4 MiB. */
  readonly maxBytes?: number;
}

/** How the server wants callers to sign in. */
type Challenge =
  | { readonly kind: "bearer"; readonly path: string; readonly service: string }
  | { readonly kind: "basic" }
  | { readonly kind: "none" };

const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** Registry and signing service over the protocols that docker speaks with them: `/v2/…` with a token for each scope. */
export class RegistryWire {
  readonly #options: WireOptions;
  readonly #tokens = new Map<string, string>();
  #challenge: Promise<Challenge> | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
  }

  /** Whoever signs in, for messages. */
  get who(): string {
    return this.#options.account?.name ?? "you (nobody is signed in)";
  }

  /**
   * Any answer but a refusal.
   * @throws CliError that says who was refused what (401, 403, 429, 5xx), and what to do next
   */
  async ask({ scope, doing, maxBytes = MAX_BODY_BYTES, ...outgoing }: Ask): Promise<WireAnswer> {
    const done = this.#options.onWait(doing);
    try {
      let answer = await this.#send(outgoing, scope, maxBytes);
      // A token ends after minutes; whoever types a passphrase may take longer.
      if (answer.status === 401 && this.#tokens.delete(scope)) answer = await this.#send(outgoing, scope, maxBytes);
      if (isRefusal(answer.status)) throw this.#refused(doing, answer);
      return answer;
    } catch (error) {
      throw error instanceof CliError ? error : unreachable(this.#options.url, error);
    } finally {
      done();
    }
  }

  async #send(outgoing: Outgoing, scope: string, maxBytes: number): Promise<WireAnswer> {
    this.#challenge ??= this.#readChallenge();
    const authorization = await this.#authorize(await this.#challenge, scope);
    const headers: OutgoingHttpHeaders = { ...outgoing.headers, ...authorization };
    const incoming = await exchange(this.#options, { ...outgoing, headers });
    const body = await readBody(incoming, maxBytes);
    return { status: incoming.statusCode ?? 0, headers: incoming.headers, body };
  }

  async #readChallenge(): Promise<Challenge> {
    const incoming = await exchange(this.#options, { method: "GET", path: "/v2/" });
    await readBody(incoming, MAX_BODY_BYTES);
    const header = incoming.headers["www-authenticate"] ?? "";
    if (incoming.statusCode !== 401) return { kind: "none" };
    if (/^basic/i.test(header)) return { kind: "basic" };
    const [realm, service] = [readParameter(header, "realm"), readParameter(header, "service")];
    const url = URL.parse(realm);
    if (url === null) throw new CliError(`${this.#options.url.origin} asks for a sign-in that goldseal does not know`);
    // The token service is on the registry's own origin: a password goes nowhere else, whatever the challenge says.
    return { kind: "bearer", path: url.pathname, service };
  }

  async #authorize(challenge: Challenge, scope: string): Promise<OutgoingHttpHeaders> {
    const { account } = this.#options;
    if (challenge.kind === "none") return {};
    const basic = account === undefined ? {} : { authorization: basicAuth(account.name, account.password) };
    if (challenge.kind === "basic") return basic;
    const token = this.#tokens.get(scope) ?? (await this.#fetchToken(challenge, scope, basic));
    this.#tokens.set(scope, token);
    return { authorization: `Bearer ${token}` };
  }

  async #fetchToken(
    { path, service }: Extract<Challenge, { kind: "bearer" }>,
    scope: string,
    headers: OutgoingHttpHeaders,
  ): Promise<string> {
    const query = new URLSearchParams({ service, scope });
    const incoming = await exchange(this.#options, { method: "GET", path: `${path}?${query}`, headers });
    const body = await readBody(incoming, MAX_BODY_BYTES);
    if (incoming.statusCode !== 200) {
      throw this.#refused("sign in", { status: incoming.statusCode ?? 0, headers: incoming.headers, body });
    }
    const { token } = readObject(body);
    if (typeof token !== "string") throw new CliError(`${this.#options.url.origin} answered no token`);
    return token;
  }

  #refused(doing: string, { status, body }: WireAnswer): CliError {
    const { origin } = this.#options.url;
    const { code, message } = readError(body);
    const next =
      status !== 401
        ? ""
        : `\nsigned in as ${this.who}: goldseal login, or set GOLDSEAL_PASSWORD, or choose another user with --as; publishing needs the right sign, reading needs pull`;
    return new CliError(
      `${origin} does not let ${this.who} ${doing}: ${message} (${`${status} ${code}`.trim()})${next}`,
    );
  }
}

export interface WireError {
  readonly code: string;
  readonly message: string;
}

/** The first error of an answer, with the sentence that says most. */
export function readError(body: Buffer): WireError {
  const { errors } = readObject(body);
  const first = Array.isArray(errors) ? errors[0] : undefined;
  if (!isJsonObject(first)) return { code: "", message: "the answer says no more" };
  const { code, message, detail } = first;
  const fault = isJsonObject(detail) && isJsonObject(detail.Error) ? detail.Error.Msg : detail;
  const best = [fault, message].find((text) => typeof text === "string" && text !== "");
  return { code: String(code ?? ""), message: String(best ?? "the answer says no more") };
}

function isRefusal(status: number): boolean {
  return status === 401 || status === 403 || status === 429 || status >= 500;
}
