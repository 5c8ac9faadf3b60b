import type { Digest } from "../../oci/digest.ts";
import type { Database, Session } from "../database.ts";
import { BlobCheck, type BlobCheckParts, type CheckedBlob } from "./blob-check.ts";
import { fromOldest, listOldestBlobs, noteChecked, type OldestPlace } from "./blob-rows-to-check.ts";
import type { IntegrityEvent } from "./integrity-event.ts";
import { judgeEach, listOldestManifests, noteLook, passManifests, quarantineManifests } from "./manifest-check.ts";
import { Pacer } from "./pacer.ts";
import { ScrubStore } from "./scrub-store.ts";
import { Streak, StreakError } from "./streak.ts";

export interface ScrubOptions extends BlobCheckParts {
  readonly database: Database;
  readonly signal?: AbortSignal;
  readonly observe?: (event: IntegrityEvent) => void;
}

const lockName = "goldseal scrub";
const blobsAtOnce = 32;
const manifestsAtOnce = 100;
/** To open an object costs as much as so many bytes of it. */
const objectBytes = 64 * 1024;
/** What is read for so long is noted: that much is lost of it with the process. */
const noteMs = 1_000;
/** A new rate is heeded after so long, in the middle of a large blob too. */
const rateMs = 2_000;

/** An operator has switched it off. */
class ScrubOff extends Error {}

/**
 * Reads everything, slowly, over and over, what was not read for longest first, and puts into quarantine what is damaged.
 * Over all processes one does so at a time; where it is, each object's row says, so any other one can go on.
 */
export class Scrub {
  readonly #options: ScrubOptions;
  readonly #check: BlobCheck;
  readonly #store: ScrubStore;
  readonly #pacer: Pacer;
  #streak = new Streak(false);
  /** One time through everything. */
  #round: { place: OldestPlace; readonly until: string } | undefined;
  #good: Digest[] = [];
  #counts = { objects: 0, bytes: 0, damaged: 0 };
  #notedAt = performance.now();
  #ratedAt = 0;

  constructor(options: ScrubOptions) {
    this.#options = options;
    this.#check = new BlobCheck(options);
    this.#store = new ScrubStore(options.database);
    this.#pacer = new Pacer(options.signal);
  }

  /**
   * One round, from where the last one ended: until nothing has its turn. False when another process is at it.
   * @throws StreakError when the store seems to have lost everything
   */
  async run(): Promise<boolean> {
    const ran = await this.#options.database.exclusively(lockName, async (session) => {
      this.#round = undefined;
      this.#streak = new Streak(false);
      try {
        while (await this.#scrubSome(session));
      } catch (error) {
        if (!(error instanceof ScrubOff)) throw error;
      }
      return true;
    });
    return ran ?? false;
  }

  /** False when nothing has its turn. */
  async #scrubSome(session: Session): Promise<boolean> {
    await this.#heedRate();
    this.#round ??= { place: fromOldest, until: await this.#store.readUntil(session) };
    try {
      const [manifests, blobs] = [
        await this.#scrubManifests(session, this.#round.until),
        await this.#scrubBlobs(session, this.#round),
      ];
      return manifests || blobs;
    } finally {
      await this.#note(session);
    }
  }

  async #scrubBlobs(session: Session, round: { place: OldestPlace; readonly until: string }): Promise<boolean> {
    const blobs = await listOldestBlobs(session, round.place, { until: round.until, limit: blobsAtOnce });
    const last = blobs.at(-1);
    // What could not be read has its turn again in the next round.
    round.place = last ?? round.place;
    for (const blob of blobs) {
      await this.#pacer.pass(objectBytes);
      await this.#checkBlob(session, blob);
      if (performance.now() - this.#notedAt > noteMs) await this.#note(session);
    }
    return last !== undefined;
  }

  async #checkBlob(session: Session, blob: CheckedBlob): Promise<void> {
    const pace = async (bytes: number): Promise<void> => {
      this.#counts.bytes += bytes;
      if (performance.now() - this.#ratedAt > rateMs) await this.#heedRate();
      await this.#pacer.pass(bytes);
    };
    const { observe, signal } = this.#options;
    const { digest } = blob;
    try {
      const beforeDamage = this.#streak.isDamaged.bind(this.#streak);
      const verdict = await this.#check.check(blob, { read: true, repair: true, pace, beforeDamage });
      this.#counts.objects++;
      this.#good.push(digest);
      if (verdict.kind !== "damaged") this.#streak.isThere();
      else if (!blob.quarantined) {
        this.#counts.damaged++;
        observe?.({ kind: "damaged", of: "blob", digest, reason: verdict.damage.reason });
        await this.#note(session);
      }
      if (verdict.kind === "healthy" && verdict.lifted) observe?.({ kind: "lifted", of: "blob", digest });
    } catch (error) {
      if (signal?.aborted === true || error instanceof StreakError || error instanceof ScrubOff) throw error;
      observe?.({ kind: "error", digest, error });
      this.#streak.isUnreadable(error);
    }
  }

  async #scrubManifests(session: Session, until: string): Promise<boolean> {
    const { observe } = this.#options;
    const keys = await listOldestManifests(session, until, manifestsAtOnce);
    if (keys.length === 0) return false;
    const verdicts = await judgeEach(session, keys, ({ digest }, error) => observe?.({ kind: "error", digest, error }));
    const damaged = verdicts.filter(({ isWhole, quarantined }) => !isWhole && !quarantined);
    await quarantineManifests(session, damaged);
    await passManifests(session, verdicts);
    await noteLook(session, keys);
    for (const { digest } of damaged) observe?.({ kind: "damaged", of: "manifest", digest, reason: "digest" });
    for (const { digest, isWhole, quarantined } of verdicts)
      if (isWhole && quarantined) observe?.({ kind: "lifted", of: "manifest", digest });
    const bytes = verdicts.reduce((sum, { size }) => sum + size, 0);
    this.#counts.objects += verdicts.length;
    this.#counts.bytes += bytes;
    this.#counts.damaged += damaged.length;
    await this.#pacer.pass(bytes);
    return true;
  }

  /** @throws ScrubOff */
  async #heedRate(): Promise<void> {
    this.#ratedAt = performance.now();
    const rate = await this.#store.readRate();
    if (rate === 0) throw new ScrubOff();
    this.#pacer.setRate(rate);
  }

  /** What was looked at has its turn after all others again. */
  async #note(session: Session): Promise<void> {
    this.#notedAt = performance.now();
    const [good, counts] = [this.#good, this.#counts];
    if (counts.objects === 0) return;
    this.#good = [];
    this.#counts = { objects: 0, bytes: 0, damaged: 0 };
    await noteChecked(session, good);
    await this.#store.add(session, counts);
    this.#options.observe?.({ kind: "scrubbed", objects: counts.objects, bytes: counts.bytes });
  }
}
