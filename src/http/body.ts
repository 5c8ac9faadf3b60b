import type { IncomingMessage, ServerResponse } from "node:http";
import type { ByteBudget } from "./byte-budget.ts";

/** How long a client may send (or take) nothing before it is cut; one that makes progress may take for ever. */
export const idleMs = 30_000;

export class BodyTooLargeError extends Error {}
/** The client went away or fell silent in the middle of its body. */
export class BodyAbortedError extends Error {}

/** A body that is held whole must be there within this time: it keeps others waiting. */
const wholeBodyMs = 60_000;

export interface WholeBody {
  readonly maxBytes: number;
  /** What all bodies that this process holds whole share. */
  readonly budget: ByteBudget;
}

/** @throws BodyTooLargeError before anything above `maxBytes` is held, BodyAbortedError */
export async function readBody(
  message: IncomingMessage,
  response: ServerResponse,
  { maxBytes, budget }: WholeBody,
): Promise<Buffer> {
  const announced = Number(message.headers["content-length"] ?? maxBytes);
  if (announced > maxBytes) throw new BodyTooLargeError();
  const giveBack = await budget.reserve(announced);
  const late = setTimeout(() => message.destroy(new BodyAbortedError("the body took longer than 60 s")), wholeBodyMs);
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of streamBody(message, response)) {
      size += chunk.length;
      if (size > maxBytes) throw new BodyTooLargeError();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  } finally {
    clearTimeout(late);
    giveBack();
  }
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
