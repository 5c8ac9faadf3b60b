import type { IncomingMessage, ServerResponse } from "node:http";
import type { ByteBudget } from "./byte-budget.ts";

/** How long a client may send (or take) nothing before it is cut; one that makes progress may take for ever. */
export const idleMs = 30_000;

export class BodyTooLargeError extends Error {}
/** The client went away or fell silent in the middle of its body. */
export class BodyAbortedError extends Error {}

/** A body that is held whole must be there within this time: it keeps others waiting. */
const wholeBodyMs = 60_000;
/** Bodies up to here (forms, REST) do not wait for others: whoever sends none of theirs would keep all pushes waiting. */
const smallBodyBytes = 64 * 1024;

/** A request whose body is to be read. */
export interface BodySource {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  /** Told of every piece that is read. */
  readonly count: (bytes: number) => void;
}

export interface WholeBody {
  readonly maxBytes: number;
  /** What all larger bodies that this process holds whole share. */
  readonly budget: ByteBudget;
}

/** @throws BodyTooLargeError before anything above `maxBytes` is held, BodyAbortedError */
export async function readBody(source: BodySource, { maxBytes, budget }: WholeBody): Promise<Buffer> {
  const { message } = source;
  const { "content-length": length, "transfer-encoding": coding } = message.headers;
  const announced = length === undefined ? (coding === undefined ? 0 : maxBytes) : Number(length);
  if (announced > maxBytes) throw new BodyTooLargeError();
  const giveBack = maxBytes <= smallBodyBytes ? () => undefined : await budget.reserve(announced);
  const late = setTimeout(() => message.destroy(new BodyAbortedError("the body took longer than 60 s")), wholeBodyMs);
  try {
    // One buffer, as large as was set aside: many tiny chunks in a list would weigh a hundred times their bytes.
    const whole = Buffer.allocUnsafeSlow(announced);
    let size = 0;
    for await (const chunk of streamBody(source)) {
      if (size + chunk.length > announced) throw new BodyTooLargeError();
      whole.set(chunk, size);
      size += chunk.length;
    }
    return whole.subarray(0, size);
  } finally {
    clearTimeout(late);
    giveBack();
  }
}

/**
 * The body as it arrives. `100 Continue` is sent on the first read, so a request that is refused before never has its
 * body sent.
 */
export async function* streamBody({ message, response, count }: BodySource): AsyncGenerator<Uint8Array> {
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
    count(next.value.length);
    yield next.value;
  }
}
