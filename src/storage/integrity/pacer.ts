import { setTimeout as wait } from "node:timers/promises";

/** What a pause is worth: shorter ones are saved up. */
const leastMs = 50;
/** What was left unused so long ago is not made up for. */
const burstMs = 1_000;

/** Lets so many bytes pass in a second. */
export class Pacer {
  readonly #signal: AbortSignal | undefined;
  #bytesPerSecond = Number.POSITIVE_INFINITY;
  #freeAt = 0;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  setRate(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Throws when the signal is given. */
  async pass(bytes: number): Promise<void> {
    this.#signal?.throwIfAborted();
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now - burstMs) + (bytes / this.#bytesPerSecond) * 1000;
    if (this.#freeAt - now > leastMs)
      await wait(this.#freeAt - now, undefined, this.#signal === undefined ? {} : { signal: this.#signal });
  }
}
