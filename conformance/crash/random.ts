/** Choices that a seed repeats, and bytes that need not be kept because they can be made again. */
import { createCipheriv, createHash } from "node:crypto";

export class Random {
  #state: number;

  constructor(seed: string) {
    this.#state = createHash("sha256").update(seed).digest().readUInt32LE(0);
  }

  /** In [0, 1): mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [first, last]. */
  between(first: number, last: number): number {
    return first + Math.floor(this.next() * (last - first + 1));
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** In another order. */
  shuffle<T>(list: readonly T[]): T[] {
    const keys = new Map(list.map((entry) => [entry, this.next()]));
    return list.toSorted((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
  }

  /** Undefined only for an empty list. */
  pick<T>(list: readonly T[]): T | undefined {
    return list[this.between(0, list.length - 1)];
  }
}

/** A blob by what it is made from. */
export interface Blob {
  readonly digest: string;
  readonly size: number;
  readonly seed: string;
}

export function contentOf({ seed, size }: Pick<Blob, "seed" | "size">): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

export function makeBlob(seed: string, size: number, algorithm = "sha256"): Blob {
  const hex = createHash(algorithm).update(contentOf({ seed, size })).digest("hex");
  return { digest: `${algorithm}:${hex}`, size, seed };
}

/** What `content` hashes to, with the algorithm that `digest` names. */
export function digestLike(digest: string, content: Buffer): string {
  const algorithm = digest.startsWith("sha512:") ? "sha512" : "sha256";
  return `${algorithm}:${createHash(algorithm).update(content).digest("hex")}`;
}
