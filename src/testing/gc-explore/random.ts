import { createHash } from "node:crypto";

/** The same numbers for the same seed. */
export class Random {
  readonly #seed: string;
  #count = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** 0 included, 1 not. */
  next(): number {
    return (
      createHash("md5")
        .update(`${this.#seed} ${this.#count++}`)
        .digest()
        .readUInt32BE() /
      2 ** 32
    );
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(all: readonly T[]): T {
    return all[this.below(all.length)] as T;
  }

  weighted<T extends { readonly weight: number }>(all: readonly T[]): T {
    let left = this.next() * all.reduce((sum, { weight }) => sum + weight, 0);
    for (const one of all) {
      left -= one.weight;
      if (left < 0) return one;
    }
    return all[0] as T;
  }
}
