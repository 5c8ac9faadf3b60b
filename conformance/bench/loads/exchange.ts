import type { Socket } from "node:net";
import type { Server } from "../servers.ts";
import { connect, parseHead, type ResponseHead, requestHead } from "./connection.ts";

/** One connection, one request at a time; an answer's body is counted and forgotten. */
export interface Connection {
  /** Answers path and query of `Location`; `send` writes a chunked body. Any status but `expect` is an error. */
  ask(method: string, path: string, expect: number, send?: (socket: Socket) => Promise<void>): Promise<string>;
  /** Posts a whole body and expects 200. */
  post(path: string, contentType: string, body: Buffer): Promise<void>;
  close(): void;
}

export async function openConnection(server: Server, authorization: string | undefined): Promise<Connection> {
  let answered = Promise.withResolvers<ResponseHead>();
  let held = Buffer.alloc(0);
  let head: ResponseHead | undefined;
  let left = 0;
  const socket = await connect(server, (bytes) => {
    let size = bytes.length;
    if (head === undefined) {
      held = Buffer.concat([held, bytes]);
      head = parseHead(held);
      if (head === undefined) return;
      held = Buffer.alloc(0);
      left = head.length;
      size = head.rest;
    }
    left -= size;
    if (left <= 0) answered.resolve(head);
  });
  socket.once("close", () => answered.reject(new Error(`${server.kind} closed the connection`)));
  answered.promise.catch(() => undefined);

  return {
    close: () => void socket.destroy(),
    post: async (path, contentType, body) => {
      answered = Promise.withResolvers<ResponseHead>();
      head = undefined;
      const about = { Authorization: authorization, "Content-Type": contentType, "Content-Length": `${body.length}` };
      socket.write(Buffer.concat([Buffer.from(requestHead("POST", path, about)), body]));
      const { status, text } = await answered.promise;
      if (status !== 200) throw new Error(`${server.kind}: POST ${path} was answered ${text}`);
    },
    ask: async (method, path, expect, send) => {
      answered = Promise.withResolvers<ResponseHead>();
      head = undefined;
      const body = send ? { "Transfer-Encoding": "chunked" } : { "Content-Length": method === "GET" ? undefined : "0" };
      socket.write(requestHead(method, path, { Authorization: authorization, ...body }));
      await Promise.race([send?.(socket), answered.promise]);
      const { status, text } = await answered.promise;
      if (status !== expect) throw new Error(`${server.kind}: ${method} ${path} was answered ${text}`);
      const location = new URL(/\r\nlocation: *(\S+)/i.exec(text)?.[1] ?? "/", server.url);
      return location.pathname + location.search;
    },
  };
}
