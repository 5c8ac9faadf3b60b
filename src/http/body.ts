import type { IncomingMessage, ServerResponse } from "node:http";
import type { ByteBudget } from "../oci/byte-budget.ts";
import { freeChunk } from "../oci/free-chunk.ts";

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
 * The body as it arrives; a piece is valid until the next one is asked for. `100 Continue` is sent on the first read, so
 * a request that is refused before never has its body sent.
 */
export async function* streamBody({ message, response, count }: BodySource): AsyncGenerator<Uint8Array> {
  if (message.headers.expect?.toLowerCase() === "100-continue") response.writeContinue();
  const inlet = new Inlet(message);
  try {
    for (let chunks = await inlet.take(); chunks.length > 0; chunks = await inlet.take()) {
      for (const chunk of chunks) {
        count(chunk.length);
        yield chunk;
        freeChunk(chunk);
      }
    }
  } finally {
    inlet.close();
  }
}

/** Chunks that wait to be taken; above this the client has to wait. */
const maxHeldBytes = 128 * 1024;

/** Takes the chunks as the parser made them; a stream's own iterator would put them together in yet another buffer. */
class Inlet {
  readonly #message: IncomingMessage;
  readonly #silence: NodeJS.Timeout;
  #chunks: Uint8Array[] = [];
  #held = 0;
  #isOver: boolean;
  #failure: BodyAbortedError | undefined;
  #wake: (() => void) | undefined;

  constructor(message: IncomingMessage) {
    this.#message = message;
    this.#isOver = message.readableEnded;
    this.#silence = setTimeout(() => this.#onSilence(), idleMs);
    if (message.destroyed && !this.#isOver) this.#onClose();
    message.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onClose).on("close", this.#onClose);
  }

  /** What has come since; waits for at least one chunk. None: that was all. @throws BodyAbortedError */
  async take(): Promise<Uint8Array[]> {
    if (this.#chunks.length === 0 && !this.#isOver && this.#failure === undefined) {
      this.#silence.refresh();
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
      this.#wake = undefined;
    }
    if (this.#chunks.length === 0 && this.#failure !== undefined) throw this.#failure;
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#held = 0;
    if (!this.#isOver) this.#message.resume();
    return chunks;
  }

  /** Leaves the rest of the body, if any, in the message. */
  close(): void {
    clearTimeout(this.#silence);
    const message = this.#message;
    message.off("data", this.#onData).off("end", this.#onEnd).off("error", this.#onClose).off("close", this.#onClose);
    if (!this.#isOver) message.pause();
  }

  /** Only while something is waited for: a slow disk is not the client's fault. */
  #onSilence(): void {
    if (this.#wake !== undefined) this.#message.destroy(new BodyAbortedError("the client sent nothing for 30 s"));
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held >= maxHeldBytes) this.#message.pause();
    this.#wake?.();
  };

  readonly #onEnd = (): void => {
    this.#isOver = true;
    this.#wake?.();
  };

  readonly #onClose = (cause?: unknown): void => {
    if (this.#isOver) return;
    this.#failure ??=
      cause instanceof BodyAbortedError ? cause : new BodyAbortedError("the client went away", { cause });
    this.#wake?.();
  };
}
