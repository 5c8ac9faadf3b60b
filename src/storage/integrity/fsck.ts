import { OciError } from "../../oci/error.ts";
import type { BlobInventory } from "../blob-inventory.ts";
import type { Database, Session } from "../database.ts";
import { BlobCheck, type BlobCheckParts } from "./blob-check.ts";
import { countBlobs, findThreshold, type Sample } from "./blob-rows-to-check.ts";
import { FsckPass } from "./fsck-pass.ts";
import { type FsckRequest, type FsckRun, FsckRuns } from "./fsck-runs.ts";
import type { IntegrityEvent } from "./integrity-event.ts";

export interface FsckOptions extends BlobCheckParts {
  readonly database: Database;
  readonly inventory: BlobInventory;
  /** Ends the work of this process between two pieces that are read; the run goes on elsewhere, or later. */
  readonly signal?: AbortSignal;
  readonly observe?: (event: IntegrityEvent) => void;
}

const lockName = "goldseal fsck";

/**
 * Holds the blob store and the manifests against the rows, both ways, while everything goes on. Over all processes one
 * does so at a time. A run that its process left without an end is taken up again where it was.
 */
export class Fsck {
  readonly #options: FsckOptions;

  constructor(options: FsckOptions) {
    this.#options = options;
  }

  /**
   * Goes on with the run that has no end, where it is the one that is asked for, else begins another. Returns its id once it
   * is over; undefined where another process has it, or where nothing is asked for and none waits. `onBegin` hears the id
   * before.
   */
  run(request: FsckRequest | undefined, onBegin: (id: number) => void = () => undefined): Promise<number | undefined> {
    return this.#options.database.exclusively(lockName, async (session) => {
      const runs = new FsckRuns(this.#options.database);
      const run = await this.#take(session, runs, request);
      if (run === undefined) return undefined;
      onBegin(run.id);
      await this.#finish(session, runs, run);
      return run.id;
    });
  }

  async #take(session: Session, runs: FsckRuns, request: FsckRequest | undefined): Promise<FsckRun | undefined> {
    const open = await runs.findOpen();
    if (request === undefined || (open !== undefined && isSame(open, request))) return open;
    if (open !== undefined) await runs.end(open.id, "failed", "given up for another one");
    const id = await runs.begin(request);
    const sample = await this.#pick(session, id, request);
    await runs.setTotals(id, sample.threshold, await countBlobs(session, sample));
    return runs.find(id);
  }

  async #pick(session: Session, seed: number, { mode, sample = "" }: FsckRequest): Promise<Sample> {
    if (mode !== "sample") return { seed, threshold: undefined };
    const { objects } = await countBlobs(session, { seed, threshold: undefined });
    const count = sample.endsWith("%") ? Math.ceil((objects * Number(sample.slice(0, -1))) / 100) : Number(sample);
    return { seed, threshold: await findThreshold(session, seed, count) };
  }

  async #finish(session: Session, runs: FsckRuns, run: FsckRun): Promise<void> {
    const { signal } = this.#options;
    const check = new BlobCheck(this.#options);
    try {
      const note = await new FsckPass({ ...this.#options, check, session, runs, run }).go();
      await runs.end(run.id, "done", note);
    } catch (error) {
      // A run whose process is stopped, or that cannot reach what it needs, waits until some process can go on with it.
      const waits = signal?.aborted === true || (error instanceof OciError && error.code === "UNAVAILABLE");
      if (!waits) await runs.end(run.id, "failed", error instanceof Error ? error.message : String(error));
      throw error;
    }
  }
}

/** Whoever asks for the same again wants to see the end of it. */
export function isSame(run: FsckRun, request: FsckRequest): boolean {
  return (
    run.mode === request.mode &&
    run.sample === request.sample &&
    run.repair === request.repair &&
    run.acceptLoss === request.acceptLoss
  );
}
