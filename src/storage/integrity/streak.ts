import type { Damage } from "./quarantine.ts";

/** So many in a row are no accident of single blobs: another bucket is configured, a disk is not mounted. */
const maxStreak = 100;

export class StreakError extends Error {}

/** Ends a check of a store that seems not to be the one that the rows are about. */
export class Streak {
  readonly #acceptLoss: boolean;
  readonly #most: number;
  #missing = 0;
  #failed = 0;

  /** `acceptLoss`: an operator says that nearly everything may be missing. */
  constructor(acceptLoss: boolean, most: number = maxStreak) {
    this.#acceptLoss = acceptLoss;
    this.#most = most;
  }

  /** Asked before anything is done about it. @throws StreakError when it is missing, and so many before it were too */
  isDamaged({ reason }: Damage): void {
    if (reason !== "missing") {
      this.isThere();
      return;
    }
    if (++this.#missing < this.#most || this.#acceptLoss) return;
    throw new StreakError(
      `${this.#most} blobs in a row are missing: is this the right blob store, is its disk mounted? If they are lost ` +
        "indeed: goldseal fsck --repair --accept-loss",
    );
  }

  /** @throws StreakError when so many before it could not be read either */
  isUnreadable(cause: unknown): void {
    if (++this.#failed >= this.#most)
      throw new StreakError(`${this.#most} blobs in a row could not be read`, { cause });
  }

  isThere(): void {
    this.#missing = 0;
    this.#failed = 0;
  }
}
