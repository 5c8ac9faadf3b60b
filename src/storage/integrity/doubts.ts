import type { Digest } from "../../oci/digest.ts";
import type { Database } from "../database.ts";
import { BlobCheck, type BlobCheckParts } from "./blob-check.ts";
import type { IntegrityEvent } from "./integrity-event.ts";
import { type ManifestKey, quarantineManifests } from "./manifest-check.ts";
import { Streak } from "./streak.ts";

export interface DoubtsOptions extends BlobCheckParts {
  readonly database: Database;
  /** Ends what is read in the background. */
  readonly signal: AbortSignal;
  readonly observe: (event: IntegrityEvent) => void;
}

/** A blob as its row has it. */
export interface DoubtfulBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Fewer than a check believes: pulls see the lost ones again and again, and nobody watches what they do about it. */
const maxMissing = 20;

/**
 * What pulls could not read as it should be, looked at again at once instead of in the next check: what is damaged goes
 * into quarantine, so that everybody is told the same, and the next push brings it back.
 */
export class Doubts {
  readonly #options: DoubtsOptions;
  readonly #check: BlobCheck;
  readonly #streak = new Streak(false, maxMissing);
  readonly #looks = new Map<Digest, Promise<void>>();
  readonly #suspects = new Set<Digest>();
  /** What is read in the background, one after the other. */
  #reading: Promise<void> = Promise.resolve();

  constructor(options: DoubtsOptions) {
    this.#options = options;
    this.#check = new BlobCheck(options);
  }

  /** A pull got what it should: the blob store is the right one. */
  isThere(): void {
    this.#streak.isThere();
  }

  /** Of a blob that cannot be had; once this resolves its row says what it is. `read`: hash it, where its size is right. */
  settle(blob: DoubtfulBlob, read: boolean): Promise<void> {
    const { digest } = blob;
    const look = this.#looks.get(digest) ?? this.#look(blob, read).finally(() => this.#looks.delete(digest));
    this.#looks.set(digest, look);
    return look;
  }

  /** Of a blob that broke off while it was sent: nobody waits for this. */
  suspect(blob: DoubtfulBlob): void {
    if (this.#suspects.has(blob.digest)) return;
    this.#suspects.add(blob.digest);
    this.#reading = this.#reading.then(async () => {
      if (!this.#options.signal.aborted) await this.settle(blob, true);
      this.#suspects.delete(blob.digest);
    });
  }

  /** Of a manifest whose bytes seem to be others. PostgreSQL judges them itself; false: not so, or no more. */
  async settleManifest(key: ManifestKey): Promise<boolean> {
    if ((await quarantineManifests(this.#options.database, [key])) === 0) return false;
    this.#options.observe({ kind: "damaged", of: "manifest", digest: key.digest, reason: "digest" });
    return true;
  }

  /** The signal was given. */
  async close(): Promise<void> {
    await Promise.all([this.#reading, ...this.#looks.values()]);
  }

  /** Never throws. */
  async #look(blob: DoubtfulBlob, read: boolean): Promise<void> {
    const { observe, signal } = this.#options;
    try {
      const verdict = await this.#check.check(
        { ...blob, quarantined: false },
        {
          ...{ read, repair: true, beforeDamage: (damage) => this.#streak.isDamaged(damage) },
          pace: async () => signal.throwIfAborted(),
        },
      );
      if (verdict.kind !== "damaged") return;
      observe({ kind: "damaged", of: "blob", digest: blob.digest, reason: verdict.damage.reason });
    } catch (error) {
      if (!signal.aborted) observe({ kind: "error", digest: blob.digest, error });
    }
  }
}
