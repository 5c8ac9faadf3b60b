/** A plain HTTP client for what surrounds a measurement, and the credentials that a lane goes with. */
import { Agent as HttpAgent, request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { ADMIN, type Server } from "./servers.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Any other status is an error. */
  readonly expect: number;
}

/** Keeps its connections; close it. */
export class Client {
  readonly #server: Server;
  readonly #agent: HttpAgent;

  constructor(server: Server) {
    this.#server = server;
    this.#agent = server.ca ? new HttpsAgent({ keepAlive: true, ca: server.ca }) : new HttpAgent({ keepAlive: true });
  }

  async ask(path: string, { method = "GET", headers = {}, body, expect }: Ask): Promise<Answer> {
    const answer = await this.#send(path, method, headers, body);
    if (answer.status === expect) return answer;
    throw new Error(`${this.#server.kind}: ${method} ${path} answered ${answer.status}, not ${expect}: ${answer.body}`);
  }

  #send(path: string, method: string, headers: Readonly<Record<string, string>>, body?: Buffer): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const send = this.#server.ca ? httpsRequest : httpRequest;
    const length = body || method !== "GET" ? { "content-length": String(body?.length ?? 0) } : {};
    const outgoing = send(new URL(path, this.#server.url), {
      method,
      agent: this.#agent,
      headers: { ...length, ...headers },
    });
    outgoing.once("error", reject).once("response", (message) => {
      const pieces: Buffer[] = [];
      message.on("data", (piece: Buffer) => pieces.push(piece)).once("error", reject);
      message.once("end", () =>
        resolve({ status: message.statusCode ?? 0, headers: message.headers, body: Buffer.concat(pieces) }),
      );
    });
    outgoing.end(body);
    return promise;
  }

  close(): void {
    this.#agent.destroy();
  }
}

export const basic = `Basic ${Buffer.from(`${ADMIN.name}:${ADMIN.password}`).toString("base64")}`;

/** A token for everything on one repository, as docker gets one before each push. */
export async function bearer(client: Client, repository: string): Promise<string> {
  const ping = await client.ask("/v2/", { expect: 401 });
  const service = /service="([^"]+)"/.exec(String(ping.headers["www-authenticate"]))?.[1] ?? "";
  const query = new URLSearchParams({ service, scope: `repository:${repository}:pull,push` });
  const { body } = await client.ask(`/token?${query}`, { headers: { authorization: basic }, expect: 200 });
  const { token }: { token: string } = JSON.parse(body.toString());
  return `Bearer ${token}`;
}
