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

/** How many rows the next step takes, so that it is short; after each the collector leaves the machine to others for as long. */
export class Pace {
  readonly #options: PaceOptions;
  #size: number;

  constructor(options: PaceOptions) {
    this.#options = options;
    this.#size = options.least;
  }

  get size(): number {
    return this.#size;
  }

  async step<T>(work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await work();
    const took = performance.now() - started;
    const { least, most, rest = wait } = this.#options;
    // Slowly up, fast down: what comes next may be as large as what was too large.
    if (took > stepMs) this.#size = Math.max(least, Math.floor((this.#size * stepMs) / took));
    else this.#size = Math.min(most, Math.ceil(this.#size * Math.min(2, stepMs / Math.max(took, 1))));
    if (took > shortMs) await rest(Math.min(took, stepMs));
    return result;
  }
}
