import type { Collector, RunOptions } from "../storage/gc/collector.ts";

export interface GarbageCollectionOptions {
  readonly collector: Pick<Collector, "run">;
  /** Undefined: only when it is asked for. */
  readonly everySeconds: number | undefined;
  /** Told of each run that was made here. */
  readonly onEnd: (end: RunEnd) => void;
}

export interface RunEnd {
  readonly seconds: number;
  /** Undefined when all is well. */
  readonly error: unknown;
}

/** Whether it is time for a run is asked this often: which process makes it, and when it was started, do not matter. */
const longestTickMs = 60_000;

/** The collector's runs in this process: by the clock, and by hand. Other processes have their own; one runs at a time. */
export class GarbageCollection {
  readonly #options: GarbageCollectionOptions;
  readonly #running = new Set<Promise<unknown>>();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(options: GarbageCollectionOptions) {
    this.#options = options;
    const { everySeconds } = options;
    if (everySeconds === undefined) return;
    const tick = (): void => {
      if (this.#running.size > 0) return;
      this.begin({ dryRun: false, ifNoneForSeconds: everySeconds }).catch(() => undefined);
    };
    this.#timer = setInterval(tick, Math.min(everySeconds * 1000, longestTickMs));
  }

  /** The id of a run that goes on; undefined where one is under way, here or elsewhere. Throws when it cannot begin. */
  begin(options: Omit<RunOptions, "onBegin">): Promise<number | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const run = this.#run({ ...options, onBegin: resolve }).then(resolve, reject);
    this.#running.add(run);
    void run.finally(() => this.#running.delete(run));
    return promise;
  }

  /** Waits for the run that is under way. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  async #run(options: RunOptions): Promise<number | undefined> {
    const started = performance.now();
    const end = (error: unknown): void => this.#options.onEnd({ seconds: (performance.now() - started) / 1000, error });
    try {
      const id = await this.#options.collector.run(options);
      if (id !== undefined) end(undefined);
      return id;
    } catch (error) {
      end(error);
      throw error;
    }
  }
}
