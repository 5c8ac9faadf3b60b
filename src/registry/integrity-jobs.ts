import type { Fsck } from "../storage/integrity/fsck.ts";
import type { FsckRequest } from "../storage/integrity/fsck-runs.ts";
import type { Scrub } from "../storage/integrity/scrub.ts";

export interface IntegrityJobsOptions {
  readonly fsck: Pick<Fsck, "run">;
  readonly scrub: Pick<Scrub, "run">;
  readonly onError: (job: "fsck" | "scrub", error: unknown) => void;
}

/** So often a process asks whether there is a check that nobody goes on with, or something to scrub and nobody at it. */
const tickMs = 60_000;

/** The checks that this process makes: what is asked of it, what another one left, and the scrub, if no other does it. */
export class IntegrityJobs {
  readonly #options: IntegrityJobsOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Set<Promise<unknown>>();
  #isChecking = false;
  #isScrubbing = false;

  constructor(options: IntegrityJobsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      if (!this.#isChecking) void this.#goOn();
      void this.scrub();
    }, tickMs);
  }

  /** The id of a check that goes on; undefined where another one is under way, here or elsewhere. Throws when it cannot begin. */
  begin(request: FsckRequest): Promise<number | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const work = this.#options.fsck.run(request, resolve);
    work.then(() => resolve(undefined), reject);
    void this.#run("fsck", work);
    return promise;
  }

  /** The caller has given the signal that ends them. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
  }

  async #goOn(): Promise<void> {
    this.#isChecking = true;
    await this.#run("fsck", this.#options.fsck.run(undefined));
    this.#isChecking = false;
  }

  /** Unless this process, or another one, is at it. */
  async scrub(): Promise<void> {
    if (this.#isScrubbing) return;
    this.#isScrubbing = true;
    await this.#run("scrub", this.#options.scrub.run());
    this.#isScrubbing = false;
  }

  /** Never throws. */
  async #run(job: "fsck" | "scrub", work: Promise<unknown>): Promise<void> {
    const handled = work.catch((error: unknown) => this.#options.onError(job, error));
    this.#running.add(handled);
    await handled.finally(() => this.#running.delete(handled));
  }
}
