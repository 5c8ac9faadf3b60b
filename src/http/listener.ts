import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { idleMs as defaultIdleMs } from "./body.ts";
import { discardRest, endAfterRequest } from "./rest-of-request.ts";

export interface ListenOptions {
  readonly host: string;
  /** 0 picks one. */
  readonly port: number;
  /** PEM; absent: plain HTTP, for a proxy in front. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** How long a request's headers may take. */
  readonly idleMs?: number;
}

export interface Listener {
  readonly port: number;
  /** Take no new connection, let running requests end, cut what is left after `deadlineMs`. */
  drain(deadlineMs: number): Promise<void>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Progress is what keeps a request alive (body.ts, send.ts), so there is no limit on its whole length. */
const timeouts = (idleMs: number): ServerOptions => ({
  requestTimeout: 0,
  headersTimeout: idleMs,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: Math.min(idleMs, 5_000),
  maxHeaderSize: 16 * 1024,
  noDelay: true,
});

export async function listen(handler: Handler, options: ListenOptions): Promise<Listener> {
  const { host, port, tls, idleMs = defaultIdleMs } = options;
  const server =
    tls === undefined
      ? createHttpServer(timeouts(idleMs))
      : createHttpsServer({ ...timeouts(idleMs), ...tls, ALPNProtocols: ["http/1.1"] });
  const last = new WeakMap<Duplex, Exchange>();
  const serve: Handler = (request, response) => {
    last.set(request.socket, { request, response });
    handler(request, response);
  };
  server.on("request", serve);
  server.on("checkContinue", serve);
  server.on("checkExpectation", refuseExpectation);
  // An upgrade that is passed over leaves Node deaf to what comes after it in the same packet, a body even.
  for (const event of ["upgrade", "connect"])
    server.on(event, (_request, socket: Duplex) => endWith("400 Bad Request", socket));
  const refused = new WeakSet<Duplex>();
  server.on("clientError", (error, socket) => {
    // Told again with every piece that still comes in.
    if (!refused.has(socket)) refuse(error, socket, last.get(socket));
    refused.add(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 1024 }, resolve);
  });
  return { port: (server.address() as AddressInfo).port, drain: (deadlineMs) => drain(server as Server, deadlineMs) };
}

async function drain(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  // A kept-alive connection becomes idle only when its answer is out, so idle ones are looked for until none is left.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(deadline);
}

const REFUSALS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * Bytes that are not HTTP, or headers that are too long or too slow. Whatever was asked before on this connection is
 * answered first: a refusal must never stand in the middle of another answer, nor be taken for it.
 */
function refuse(error: Error & { code?: string }, socket: Duplex, last: Exchange | undefined): void {
  const status = REFUSALS[error.code ?? ""] ?? "400 Bad Request";
  const end = (): void => endWith(status, socket);
  if (last === undefined || last.response.writableFinished) end();
  else if (last.request.complete) last.response.once("finish", end);
  else if (last.response.headersSent) socket.destroy();
  else end();
}

/**
 * Says `status` and hangs up. What the client is still sending is let go for a while: a socket that is closed over
 * unread bytes is reset, and the client would lose the answer.
 */
function endWith(status: string, socket: Duplex): void {
  socket.on("error", () => undefined);
  setTimeout(() => socket.destroy(), lingerMs).unref();
  const body = refusalBody(status);
  if (socket.writable)
    socket.end(`HTTP/1.1 ${status}\r\n${REFUSAL_HEADERS}Content-Length: ${body.length}\r\n\r\n${body}`);
  socket.resume();
}

const lingerMs = 2_000;
const REFUSAL_HEADERS = "Connection: close\r\nContent-Type: application/json\r\n";

function refusalBody(status: string): string {
  return JSON.stringify({ errors: [{ code: "UNSUPPORTED", message: status.slice(4) }] });
}

/**
 * `Expect` has one meaning, 100-continue; Node's own answer to others has no body that a registry client could read. It is
 * said at once, and the connection ends with the request: some send on without waiting.
 */
function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const body = refusalBody("417 Expectation Failed");
  const headers = { Connection: "close", "Content-Type": "application/json", "Content-Length": body.length };
  discardRest(request);
  endAfterRequest(request, response.writeHead(417, headers), Buffer.from(body));
}
