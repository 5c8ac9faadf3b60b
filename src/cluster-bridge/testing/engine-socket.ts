/** Where a simulated engine is asked: a unix socket in a folder of its own. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Question {
  readonly method: string;
  /** Decoded, without the version of the API. */
  readonly path: string;
  /** With its `?`, or empty. */
  readonly search: string;
  readonly query: URLSearchParams;
  /** JSON, or empty. */
  readonly text: string;
  /** What came along in `X-Registry-Auth`. */
  readonly auth: string | undefined;
}

/** undefined: the response is written already, or never will be. */
export type Answer = readonly [status: number, body: unknown] | undefined;
type Answering = (question: Question, response: ServerResponse) => Answer | Promise<Answer>;

export class EngineSocket {
  readonly #folder: string;
  readonly #server: Server;
  #answering: Answering = () => [503, { message: "nobody is here yet" }];

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async open(): Promise<EngineSocket> {
    const socket = new EngineSocket(await mkdtemp(join(tmpdir(), "goldseal-engine-")));
    socket.#server.listen(socket.path);
    await once(socket.#server, "listening");
    return socket;
  }

  get path(): string {
    return join(this.#folder, "docker.sock");
  }

  onQuestion(answering: Answering): void {
    this.#answering = answering;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
    await rm(this.#folder, { recursive: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, search, searchParams } = new URL(request.url ?? "", "http://engine");
    const pieces: Buffer[] = await request.toArray();
    const question = {
      ...{ method: request.method ?? "", path: decodeURIComponent(pathname.replace(/^\/v1\.41/, "")) },
      ...{ search, query: searchParams, text: Buffer.concat(pieces).toString() },
      auth: request.headers["x-registry-auth"]?.toString(),
    };
    const answer = await this.#answering(question, response);
    if (answer === undefined) return;
    const [status, body] = answer;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }
}
