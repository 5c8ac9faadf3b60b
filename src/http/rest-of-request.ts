import type { IncomingMessage, ServerResponse } from "node:http";

/** A refused body is read and thrown away up to here, so that its sender sees the answer and not a reset. */
const maxDiscardedBytes = 16 * 1024 * 1024;
/** Without a byte from the client. */
const lingerMs = 2_000;

/** Whatever of the request's body was not read is let go, but not without end. */
export function discardRest(request: IncomingMessage): void {
  let discarded = 0;
  request.on("error", () => undefined);
  request.on("data", (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > maxDiscardedBytes) request.socket.destroy();
  });
  request.resume();
}

/**
 * Sends `body`, the whole of it, and ends the connection that was to be closed after this answer: not before the request is
 * in, or the client sends no more. A socket that is closed over unread bytes is reset, and a client that is still sending
 * would lose the answer.
 * @see RFC 9112, 9.6
 */
export function endAfterRequest(request: IncomingMessage, response: ServerResponse, body: Uint8Array): void {
  const end = (): void => void response.end();
  const lingering = setTimeout(end, lingerMs).unref();
  request.on("data", () => lingering.refresh());
  request.once("close", () => clearTimeout(lingering));
  request.once("end", end);
  if (body.length === 0) response.flushHeaders();
  else response.write(body);
}
