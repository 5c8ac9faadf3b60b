import type { IncomingMessage, ServerResponse } from "node:http";

/** How long a client may send (or take) nothing before it is cut; one that makes progress may take for ever. */
export const idleMs = 30_000;

export class BodyTooLargeError extends Error {}
/** The client went away or fell silent in the middle of its body. */
export class BodyAbortedError extends Error {}

/** @throws BodyTooLargeError before anything above `maxBytes` is held, BodyAbortedError */
export async function readBody(message: IncomingMessage, response: ServerResponse, maxBytes: number): Promise<Buffer> {
  if (Number(message.headers["content-length"] ?? 0) > maxBytes) throw new BodyTooLargeError();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of streamBody(message, response)) {
    size += chunk.length;
    if (size > maxBytes) throw new BodyTooLargeError();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/**
 * The body as it arrives. `100 Continue` is sent on the first read, so a request that is refused before never has its
 * body sent.
 */
export async function* streamBody(message: IncomingMessage, response: ServerResponse): AsyncGenerator<Uint8Array> {
  if (message.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
  const chunks = message.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  for (;;) {
    const silence = setTimeout(() => message.destroy(new BodyAbortedError("the client sent nothing for 30 s")), idleMs);
    let next: IteratorResult<Uint8Array>;
    try {
      next = await chunks.next();
    } catch (cause) {
      throw cause instanceof BodyAbortedError ? cause : new BodyAbortedError("the client went away", { cause });
    } finally {
      clearTimeout(silence);
    }
    if (next.done === true) return;
    yield next.value;
  }
}
