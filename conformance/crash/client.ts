/** HTTP as the loop needs it: an answer, a refusal for now (503), or none at all, kept strictly apart. */
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { Violation } from "./violation.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Goes away after so many bytes of the body. */
  readonly breakOffAt?: number;
}

/** The connection ended before an answer: the operation may have happened or not. */
export class NoAnswer extends Error {}
/** Nobody listens: nothing was sent. */
export class NobodyThere extends NoAnswer {}
/** 503 with Retry-After: the operation may have happened or not, and the server lives. */
export class Unavailable extends Error {}

/** Longer than the server may take for anything here, its own waiting for the database included. */
const HANG_MS = 20_000;

/** With several servers it asks one after the other, and where nobody listens the next one, as a balancer does. */
export class Client {
  readonly #urls: readonly string[];
  #turn = 0;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #authorization: string;
  /** Answers 503 so far. */
  unavailable = 0;

  constructor(servers: readonly { readonly url: string; readonly admin: { name: string; password: string } }[]) {
    const admin = servers[0]?.admin ?? { name: "", password: "" };
    this.#urls = servers.map(({ url }) => url);
    this.#authorization = `Basic ${Buffer.from(`${admin.name}:${admin.password}`).toString("base64")}`;
  }

  /** @throws NoAnswer, Unavailable, Violation for any other 5xx, a 503 without Retry-After, and a server that hangs */
  async ask(method: string, path: string, ask: Ask = {}): Promise<Answer> {
    const answer = await this.#send(method, path, ask);
    if (answer.status === 503) {
      if (answer.headers["retry-after"] === undefined) throw problem("503 without Retry-After", method, path, answer);
      this.unavailable++;
      throw new Unavailable(`${method} ${path}: 503`);
    }
    if (answer.status >= 500) throw problem(`${answer.status}`, method, path, answer);
    return answer;
  }

  /** @throws Violation when the status is none of `statuses` */
  async expect(statuses: readonly number[], method: string, path: string, ask?: Ask): Promise<Answer> {
    const answer = await this.ask(method, path, ask);
    if (statuses.includes(answer.status)) return answer;
    throw problem(`${answer.status} instead of ${statuses.join(" or ")}`, method, path, answer);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(method: string, path: string, ask: Ask): Promise<Answer> {
    for (let left = this.#urls.length; ; left--) {
      const url = this.#urls[this.#turn++ % this.#urls.length] ?? "";
      try {
        return await this.#sendTo(url, method, path, ask);
      } catch (error) {
        if (left <= 1 || !(error instanceof NobodyThere)) throw error;
      }
    }
  }

  #sendTo(url: string, method: string, path: string, ask: Ask): Promise<Answer> {
    const { headers = {}, body, breakOffAt } = ask;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const broken = (error: Error): void => {
      const isRead = method === "GET" || method === "HEAD";
      // The server closed it as idle in the moment we took it up; a read may simply be sent again.
      if (outgoing.reusedSocket && isRead) resolve(this.#sendTo(url, method, path, ask));
      else if ("code" in error && error.code === "ECONNREFUSED") reject(new NobodyThere(error.message));
      else reject(new NoAnswer(`${method} ${path}: ${error.message}`));
    };
    const length = { "content-length": String(body?.length ?? 0) };
    const outgoing = request(new URL(path, url), {
      method,
      agent: this.#agent,
      headers: { authorization: this.#authorization, ...(method === "GET" ? {} : length), ...headers },
    });
    const timer = setTimeout(() => {
      reject(new Violation("ANSWER", `${method} ${path}: no answer within ${HANG_MS / 1000} s`));
      outgoing.destroy();
    }, HANG_MS);
    outgoing.on("response", (message) => collect(message).then(resolve, broken)).on("error", broken);
    if (breakOffAt === undefined) outgoing.end(body);
    else outgoing.write(body?.subarray(0, breakOffAt), () => outgoing.destroy(new Error("broken off")));
    return promise.finally(() => clearTimeout(timer));
  }
}

async function collect(message: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  for await (const piece of message) pieces.push(piece);
  return { status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(pieces) };
}

function problem(what: string, method: string, path: string, { body }: Answer): Violation {
  return new Violation("ANSWER", `${method} ${path}: ${what}: ${body.toString("utf8", 0, 300)}`);
}

/** The path of a Location, which names an origin that a restart may change. */
export function pathOf(answer: Answer): string {
  const { pathname, search } = new URL(answer.headers.location ?? "", "http://none");
  return pathname + search;
}
