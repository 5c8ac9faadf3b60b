import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { idleMs } from "./body.ts";

export interface ListenOptions {
  readonly host: string;
  /** 0 picks one. */
  readonly port: number;
  /** PEM; absent: plain HTTP, for a proxy in front. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface Listener {
  readonly port: number;
  /** Take no new connection, let running requests end, cut what is left after `deadlineMs`. */
  drain(deadlineMs: number): Promise<void>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Progress is what keeps a request alive (body.ts, send.ts), so there is no limit on its whole length. */
const timeouts: ServerOptions = {
  requestTimeout: 0,
  headersTimeout: idleMs,
  keepAliveTimeout: 65_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16 * 1024,
  noDelay: true,
};

export async function listen(handler: Handler, { host, port, tls }: ListenOptions): Promise<Listener> {
  const server =
    tls === undefined
      ? createHttpServer(timeouts)
      : createHttpsServer({ ...timeouts, ...tls, ALPNProtocols: ["http/1.1"] });
  server.on("request", handler);
  server.on("checkContinue", handler);
  server.on("clientError", refuse);
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

/** Bytes that are not HTTP, or headers that are too long or too slow. */
function refuse(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const status = REFUSALS[error.code ?? ""] ?? "400 Bad Request";
  const body = JSON.stringify({ errors: [{ code: "UNSUPPORTED", message: status.slice(4) }] });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}
