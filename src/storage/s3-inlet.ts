import type { Readable } from "node:stream";

/** Chunks that wait to be taken; above this the server has to wait. */
const maxHeldBytes = 256 * 1024;
/** So much has to come within the time of one attempt. */
const paceBytes = 256 * 1024;

/**
 * Takes the bytes of an object in the chunks that came off the socket: reading the stream would put them together anew.
 * Time counts only while something is waited for: a client that reads slowly is not the server's fault.
 */
export class S3Inlet {
  readonly #body: Readable;
  readonly #ms: number;
  #chunks: Uint8Array[] = [];
  #held = 0;
  /** Since the last 256 KiB were full. */
  #taken = 0;
  #waitedMs = 0;
  #isOver = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** `ms`: how long 256 KiB may be waited for. */
  constructor(body: Readable, ms: number) {
    this.#body = body;
    this.#ms = ms;
    body.on("data", this.#onData).on("end", this.#onEnd).on("error", this.#onClose).on("close", this.#onClose);
    if (body.destroyed) this.#onClose();
  }

  /** What has come since; waits for at least one chunk. None: that was all. What came before a failure is not lost. */
  async take(): Promise<Uint8Array[]> {
    if (this.#chunks.length === 0 && !this.#isOver && this.#failure === undefined) await this.#wait();
    if (this.#chunks.length === 0 && this.#failure !== undefined) throw this.#failure;
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#held = 0;
    if (!this.#isOver) this.#body.resume();
    return chunks;
  }

  /** The connection goes back only from an object that was read to its end. */
  close(): void {
    this.#body.destroy();
  }

  async #wait(): Promise<void> {
    const started = performance.now();
    const late = setTimeout(() => {
      this.#body.destroy(new Error(`less than ${paceBytes} bytes came in ${this.#ms} ms`));
    }, this.#ms - this.#waitedMs);
    await new Promise<void>((wake) => {
      this.#wake = wake;
    });
    this.#wake = undefined;
    clearTimeout(late);
    this.#waitedMs += performance.now() - started;
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    this.#taken += chunk.length;
    if (this.#taken >= paceBytes) {
      this.#taken = 0;
      this.#waitedMs = 0;
    }
    if (this.#held >= maxHeldBytes) this.#body.pause();
    this.#wake?.();
  };

  readonly #onEnd = (): void => {
    this.#isOver = true;
    this.#wake?.();
  };

  /** One that breaks while a chunk is sent says so when the next one is asked for. */
  readonly #onClose = (cause?: unknown): void => {
    if (this.#isOver) return;
    this.#failure ??= cause instanceof Error ? cause : new Error("the connection broke off");
    this.#wake?.();
  };
}
