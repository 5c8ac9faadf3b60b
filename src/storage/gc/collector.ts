import type { BlobInventory, StoredBlob } from "../blob-inventory.ts";
import type { SeeBytes } from "../blob-rows.ts";
import type { Database } from "../database.ts";
import type { Failpoint } from "../failpoint.ts";
import { Run } from "./run.ts";
import { type GcKind, GcRuns } from "./runs.ts";

export interface CollectorOptions {
  readonly database: Database;
  readonly inventory: BlobInventory;
  readonly seeBytes: SeeBytes;
  /** How long bytes, and the right of a repository to them, stay that nothing needs. */
  readonly graceSeconds: number;
  /** How long a manifest stays that no tag leads to; undefined: for ever. */
  readonly untaggedSeconds: number | undefined;
  /** Manifests or links that are deleted in one transaction; default 200. */
  readonly manifestsAtOnce?: number;
  readonly failpoint?: Failpoint;
  /** Ends a run between two steps. */
  readonly signal?: AbortSignal;
  readonly observe?: (event: GcEvent) => void;
}

/** For log and metrics. */
export type GcEvent =
  | { readonly kind: "marked"; readonly count: number }
  | { readonly kind: "deleted"; readonly of: GcKind; readonly count: number; readonly bytes: number }
  /** A blob could not be deleted; the run goes on without it. */
  | { readonly kind: "error"; readonly error: unknown }
  /** A repository needs it, and its bytes are not there. */
  | { readonly kind: "damaged"; readonly blob: StoredBlob };

export interface RunOptions {
  readonly dryRun: boolean;
  /** The operator says that this database is right, though the blob store has seen a later one. */
  readonly afterRestore?: boolean;
  /** Nothing is done where a run, not a dry one, was begun less than this ago. */
  readonly ifNoneForSeconds?: number;
  /** Told the id of the run once it has begun. */
  readonly onBegin?: (id: number) => void;
}

/** Why a run did nothing. */
const restoredMessage =
  "the blob store was collected by a later state of this database: it seems to be a restored backup, and blobs pushed " +
  "since then have no rows. Nothing is deleted until an operator says so: goldseal gc --after-restore";

const lockName = "goldseal garbage collection";
/**
 * Plans live as long as the run, and the list of what it deletes, empty when they are made, grows with it. And what of it is
 * lost in a crash would be found again: synced one by one, the steps would keep the disk from the pushes.
 */
const FOR_A_RUN = "select set_config('enable_seqscan', 'off', false), set_config('synchronous_commit', 'off', false)";

/**
 * Deletes what nothing leads to, while everything goes on. Over all processes one collects at a time, and all it does
 * to rows goes over the connection that holds that lock.
 *
 *   mark   since when nothing leads to it: manifests (tags, pins, indexes, subjects), links (manifests), blobs (links),
 *          and bytes without a row, which get one
 *   delete what is marked for long enough, looked at again under its lock: manifests, links, blobs
 *
 * Each step is a short transaction, and a run that ends anywhere leaves nothing that the next one would not do.
 */
export class Collector {
  readonly #options: CollectorOptions;

  constructor(options: CollectorOptions) {
    this.#options = options;
  }

  /** The id of the run, over by then; undefined where another process collects or did so. Throws when it failed. */
  run(options: RunOptions): Promise<number | undefined> {
    return this.#options.database.exclusively(lockName, async (session) => {
      await session.query("gc-settings", FOR_A_RUN);
      const runs = new GcRuns(session);
      const { ifNoneForSeconds } = options;
      if (ifNoneForSeconds !== undefined && !(await runs.isDue(ifNoneForSeconds))) return undefined;
      const id = await runs.begin(options.dryRun);
      options.onBegin?.(id);
      try {
        const held = await this.#isHeld(runs, options);
        const run = new Run(this.#options, { session, runs, id, dryRun: options.dryRun });
        await (held ? runs.end(id, "held", { reason: restoredMessage }) : run.go());
        return id;
      } catch (error) {
        // Without the connection it cannot be said; the next run does.
        const reason = error instanceof Error ? error.message : String(error);
        await runs.end(id, "failed", { reason }).catch(() => undefined);
        throw error;
      }
    });
  }

  /** Both sides count the runs, the database first: it is behind the bytes only if it was put back. */
  async #isHeld(runs: GcRuns, { dryRun, afterRestore = false }: RunOptions): Promise<boolean> {
    const [known, seen] = [await runs.readMark(), await this.#options.inventory.readMark()];
    if (seen > known && !afterRestore) return true;
    if (dryRun) return false;
    const next = Math.max(known, seen) + 1;
    await runs.writeMark(next);
    await this.#options.inventory.writeMark(next);
    return false;
  }
}
