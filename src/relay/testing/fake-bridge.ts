/** What the registry hands orders to: answers what a test tells it to, and keeps what it was asked. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";

export interface AskedOfBridge {
  /** `POST /path?query` */
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface FakeBridge {
  readonly url: string;
  readonly asked: AskedOfBridge[];
  answer: (response: ServerResponse, asked: AskedOfBridge) => void;
  close(): Promise<void>;
}

export async function startFakeBridge(): Promise<FakeBridge> {
  const asked: AskedOfBridge[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    const { method, url, headers } = request;
    const one = { line: `${method} ${url}`, headers, body: Buffer.concat(pieces).toString() };
    asked.push(one);
    bridge.answer(response, one);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const bridge: FakeBridge = {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    answer: (response) => response.writeHead(404).end(),
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  return bridge;
}

export const problemOf = (status: number, code: string, detail: string) => (response: ServerResponse) =>
  void response
    .writeHead(status, { "content-type": "application/problem+json" })
    .end(JSON.stringify({ status, code, detail }));

export const linesOf =
  (...lines: readonly object[]) =>
  (response: ServerResponse) =>
    void response
      .writeHead(200, { "content-type": "application/x-ndjson" })
      .end(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
