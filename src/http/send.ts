import type { ServerResponse } from "node:http";
import type { Context } from "koa";
import { idleMs as defaultIdleMs } from "./body.ts";
import type { Log } from "./log.ts";
import type { ByteStream, Reply } from "./reply.ts";
import { discardRest, endAfterRequest } from "./rest-of-request.ts";

export interface Sending {
  readonly requestId: string;
  readonly log: Log;
  /** How long a client may take nothing before it is cut. */
  readonly idleMs?: number;
}

/**
 * Sends `reply`; returns the bytes of body that went out. A stream that breaks off closes the connection. Koa's own way
 * of answering is passed by: it would look at body and headers once more for every request.
 */
export async function send(context: Context, reply: Reply, sending: Sending): Promise<number> {
  const { req, res } = context;
  context.respond = false;
  if (res.destroyed || !res.writable) return abandon(reply);
  const isWhole = req.complete || req.destroyed;
  // Who asked first whether to send on does not send on.
  if (!isWhole && req.headers.expect !== undefined) res.shouldKeepAlive = false;
  if (!isWhole) discardRest(req);
  const mayEnd = isWhole || res.shouldKeepAlive;
  const { body } = reply;
  res.writeHead(reply.status === 499 ? 400 : reply.status, headerList(reply, sending.requestId));
  if (body === undefined || req.method === "HEAD") {
    if (mayEnd) res.end();
    else endAfterRequest(req, res, Buffer.alloc(0));
    return abandon(reply);
  }
  if (!Buffer.isBuffer(body)) return pump(res, body, sending);
  if (mayEnd) res.end(body);
  else endAfterRequest(req, res, body);
  return body.length;
}

/** Names and values by turns. */
function headerList({ status, headers, body }: Reply, requestId: string): string[] {
  const list = ["X-Request-Id", requestId, "X-Content-Type-Options", "nosniff"];
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string") list.push(name, value);
    else for (const each of value) list.push(name, each);
  }
  if (body !== undefined) {
    if (body.length !== undefined) list.push("Content-Length", String(body.length));
  } else if (status !== 204 && status !== 304 && headers["Content-Length"] === undefined)
    list.push("Content-Length", "0");
  return list;
}

async function abandon(reply: Reply): Promise<number> {
  if (reply.body !== undefined && !Buffer.isBuffer(reply.body)) await reply.body.close();
  return 0;
}

async function pump(
  res: ServerResponse,
  body: ByteStream,
  { requestId, log, idleMs = defaultIdleMs }: Sending,
): Promise<number> {
  let sent = 0;
  res.on("error", () => undefined);
  // The socket's own clock: it sees a slow reader take a part of a piece, which no callback tells.
  res.setTimeout(idleMs, () => res.destroy(new Error(`the client read nothing for ${idleMs / 1000} s`)));
  try {
    for await (const chunk of body.chunks()) {
      await write(res, chunk);
      sent += chunk.length;
    }
    res.end();
  } catch (error) {
    // The status is out already: only breaking the connection tells the client that this is not all.
    if (!res.destroyed) {
      log.error("http.broken-off", { requestId, sent, of: body.length, error: String(error) });
      body.onBroken?.(error);
    }
    res.destroy();
  } finally {
    await body.close();
  }
  return sent;
}

/** Resolves once the kernel has taken the chunk. */
function write(res: ServerResponse, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = (): void => settle(new Error("the client went away"));
    const settle = (error?: Error | null): void => {
      res.off("close", closed);
      if (error) reject(error);
      else resolve();
    };
    res.once("close", closed);
    if (res.destroyed) return closed();
    res.write(chunk, settle);
  });
}
