import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Server } from "../servers.ts";

/** One buffer for all sockets of this process: bytes are counted and forgotten. */
const sink = Buffer.allocUnsafeSlow(1024 * 1024);

/** A raw connection; plain TCP reads everything into one big buffer, so that the client is not what limits. */
export function connect(server: Server, onBytes: (bytes: Buffer) => void): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const { hostname: host } = server.url;
  const port = Number(server.url.port);
  if (server.ca) {
    const socket = connectTls({ host, port, ca: server.ca, ALPNProtocols: ["http/1.1"] }, () => resolve(socket));
    socket.on("data", onBytes).once("error", reject);
    return promise;
  }
  const onread = {
    buffer: sink,
    callback: (size: number) => {
      onBytes(sink.subarray(0, size));
      return true;
    },
  };
  const socket = connectTcp({ host, port, noDelay: true, onread }, () => resolve(socket));
  socket.once("error", reject);
  return promise;
}

export function requestHead(
  method: string,
  path: string,
  headers: Readonly<Record<string, string | undefined>>,
): string {
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return `${[`${method} ${path} HTTP/1.1`, "Host: bench", ...lines].join("\r\n")}\r\n\r\n`;
}

export interface ResponseHead {
  readonly status: number;
  readonly length: number;
  readonly text: string;
  /** Bytes of the body that came along. */
  readonly rest: number;
}

const END = Buffer.from("\r\n\r\n");

/** The head of a response, if `bytes` hold all of it. */
export function parseHead(bytes: Buffer): ResponseHead | undefined {
  const end = bytes.indexOf(END);
  if (end < 0) return undefined;
  const text = bytes.toString("latin1", 0, end);
  return {
    status: Number(text.slice(9, 12)),
    length: Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0),
    text,
    rest: bytes.length - end - END.length,
  };
}
