import { setTimeout as wait } from "node:timers/promises";

export interface PaceOptions {
  readonly least: number;
  readonly most: number;
  /** Waits so many milliseconds. */
  readonly rest?: (ms: number) => Promise<unknown>;
}

/** How long one step may take: pushes wait for the rows that it locks, and for the core that it keeps busy. */
const stepMs = 20;
/** A step that is over sooner is not rested from: a small store is collected without a pause. */
const shortMs = 5;

/**
 * How many rows the next step takes, so that it is short; before that the collector leaves the machine to others for as long
 * as the last one took. Work that is done in one step does not rest.
 */
export class Pace {
  readonly #options: PaceOptions;
  #size: number;
  #restMs = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#size = options.least;
  }

  get size(): number {
    return this.#size;
  }

  async step<T>(work: () => Promise<T>): Promise<T> {
    const { least, most, rest = wait } = this.#options;
    if (this.#restMs > 0) await rest(this.#restMs);
    const started = performance.now();
    const result = await work();
    const took = performance.now() - started;
    // Slowly up, fast down: what comes next may be as large as what was too large.
    if (took > stepMs) this.#size = Math.max(least, Math.floor((this.#size * stepMs) / took));
    else this.#size = Math.min(most, Math.ceil(this.#size * Math.min(2, stepMs / Math.max(took, 1))));
    this.#restMs = took > shortMs ? Math.min(took, stepMs) : 0;
    return result;
  }
}
