import type { ByteStream } from "../http/reply.ts";

/** After so long without news a line says that it goes on: who listens, and what stands between, would give up. */
const QUIET_MS = 10_000;

/** Lines of JSON that are told as they come. What they tell of goes on when nobody listens any more. */
export class ProgressLines {
  readonly #begun = Promise.withResolvers<undefined>();
  readonly #waiting: Buffer[] = [];
  readonly #quiet: NodeJS.Timeout;
  #wake = Promise.withResolvers<void>();
  #isOver = false;
  #error: unknown;

  constructor(quietMs = QUIET_MS) {
    this.#quiet = setInterval(() => this.add({ waiting: true }), quietMs).unref();
  }

  /** Resolves with the first line. */
  get begun(): Promise<undefined> {
    return this.#begun.promise;
  }

  add(line: object): void {
    this.#waiting.push(Buffer.from(`${JSON.stringify(line)}\n`));
    this.#begun.resolve(undefined);
    this.#wake.resolve();
    this.#quiet.refresh();
  }

  end(line: object): void {
    this.#isOver = true;
    this.add(line);
    clearInterval(this.#quiet);
  }

  fail(error: unknown): void {
    [this.#isOver, this.#error] = [true, error];
    this.#wake.resolve();
    clearInterval(this.#quiet);
  }

  stream(done: Promise<void>): ByteStream {
    return { length: undefined, chunks: () => this.#chunks(), close: async () => void done };
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
      yield* this.#waiting.splice(0);
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver && this.#waiting.length === 0) return;
    }
  }
}
