import type { BlobInventory, StoredBlob } from "../blob-inventory.ts";
import type { SeeBytes } from "../blob-rows.ts";
import { clearBlobMarks } from "../blob-rows.ts";
import type { Database, Session } from "../database.ts";
import { type Failpoint, noFailpoint } from "../failpoint.ts";
import { inGroups } from "../in-groups.ts";
import { type DeletionParts, deleteBlob, deleteLinks, deleteManifestRows } from "./deletion.ts";
import { type DoomedRow, findDoomedBlobs, findDoomedLinks, findDoomedManifests } from "./doomed.ts";
import { adoptOrphans, findOrphans, findRevived, markBlobs, markLinks, markManifests } from "./marks.ts";
import { addItems, type GcItem, type GcKind, GcRuns } from "./runs.ts";

export interface CollectorOptions {
  readonly database: Database;
  readonly inventory: BlobInventory;
  readonly seeBytes: SeeBytes;
  /** How long bytes, and the right of a repository to them, stay that nothing needs. */
  readonly graceSeconds: number;
  /** How long a manifest stays that no tag leads to; undefined: for ever. */
  readonly untaggedSeconds: number | undefined;
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
const repositoriesAtOnce = 200;
const blobsAtOnce = 1_000;
const rowsAtOnce = 500;

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
      const runs = new GcRuns(session);
      const { ifNoneForSeconds } = options;
      if (ifNoneForSeconds !== undefined && !(await runs.isDue(ifNoneForSeconds))) return undefined;
      const id = await runs.begin(options.dryRun);
      options.onBegin?.(id);
      try {
        const held = await this.#isHeld(runs, options);
        if (!held) await new Run(this.#options, { session, runs, id, dryRun: options.dryRun }).go();
        await (held ? runs.end(id, "held", restoredMessage) : runs.end(id, "done"));
        return id;
      } catch (error) {
        // Without the connection it cannot be said; the next run does.
        await runs.end(id, "failed", error instanceof Error ? error.message : String(error)).catch(() => undefined);
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

interface RunParts {
  readonly session: Session;
  readonly runs: GcRuns;
  readonly id: number;
  readonly dryRun: boolean;
}

/** One collection, by whoever holds the lock. */
class Run {
  readonly #options: CollectorOptions;
  readonly #parts: RunParts;
  readonly #deletion: DeletionParts;
  readonly #search: { readonly run: number; readonly graceSeconds: number };
  readonly #counts = { stage: "marking", marked: 0, deleted: 0, freedBytes: 0, skipped: 0 };

  constructor(options: CollectorOptions, parts: RunParts) {
    const { inventory, graceSeconds, failpoint = noFailpoint } = options;
    this.#options = options;
    this.#parts = parts;
    this.#deletion = { session: parts.session, inventory, failpoint };
    this.#search = { run: parts.id, graceSeconds };
  }

  async go(): Promise<void> {
    if (!this.#parts.dryRun) await this.#mark();
    await this.#adopt();
    await this.#begin("deleting manifests");
    await this.#eachRepositories((ids) => this.#deleteManifests(ids));
    await this.#begin("deleting links");
    await this.#eachRepositories((ids) => this.#deleteLinks(ids));
    await this.#begin("deleting blobs");
    await this.#deleteBlobs();
    await this.#begin("over");
  }

  async #begin(stage: string): Promise<void> {
    this.#counts.stage = stage;
    await this.#parts.runs.report(this.#parts.id, this.#counts);
  }

  async #mark(): Promise<void> {
    const { session } = this.#parts;
    await this.#begin("marking");
    const untagged = this.#options.untaggedSeconds === undefined;
    await this.#eachRepositories(async (ids) => {
      this.#marked(await markManifests(session, ids, untagged));
      this.#marked(await markLinks(session, ids));
    });
    for (let after: string | undefined = ""; after !== undefined; ) {
      const { marked, last }: Awaited<ReturnType<typeof markBlobs>> = await markBlobs(session, after, blobsAtOnce);
      this.#marked(marked);
      after = last;
    }
    await this.#reviveBlobs();
    await (this.#options.failpoint ?? noFailpoint)("gc.afterMark");
  }

  async #reviveBlobs(): Promise<void> {
    const { session } = this.#parts;
    for (let after = ""; ; ) {
      const revived = await findRevived(session, after, rowsAtOnce);
      for (const blob of revived) {
        // A link leads to it, so nobody takes the bytes between this look and the change.
        if (await this.#options.seeBytes(blob.digest, blob.size)) await clearBlobMarks(session, [blob.digest]);
        else this.#options.observe?.({ kind: "damaged", blob });
      }
      const last = revived.at(-1);
      if (last === undefined) return;
      after = last.digest;
    }
  }

  /** A dry run lists those that a real one would adopt and, without any grace, delete at once. */
  async #adopt(): Promise<void> {
    await this.#begin("looking for bytes without rows");
    const { session, id, dryRun } = this.#parts;
    for await (const some of inGroups(this.#options.inventory.list(), blobsAtOnce)) {
      const orphans = await findOrphans(session, some);
      if (orphans.length === 0) continue;
      if (!dryRun) this.#marked(await adoptOrphans(session, orphans));
      else if (this.#options.graceSeconds === 0) await this.#list(id, orphans.map(toBlobItem));
    }
  }

  async #deleteManifests(ids: readonly number[]): Promise<void> {
    const { session, id, dryRun } = this.#parts;
    const { untaggedSeconds } = this.#options;
    if (untaggedSeconds === undefined) return;
    const all = await findDoomedManifests(session, ids, untaggedSeconds);
    if (dryRun) return this.#list(id, all);
    for (const doomed of byRepository(all)) {
      await this.#deletion.failpoint("gc.afterPick");
      const gone = await deleteManifestRows(this.#deletion, { run: id, doomed, untaggedSeconds });
      this.#deleted(gone, doomed.length - gone.length);
    }
  }

  async #deleteLinks(ids: readonly number[]): Promise<void> {
    const { session, id, dryRun } = this.#parts;
    const all = await findDoomedLinks(session, ids, this.#search);
    if (dryRun) return this.#list(id, all);
    for (const doomed of byRepository(all)) {
      await this.#deletion.failpoint("gc.afterPick");
      const gone = await deleteLinks(this.#deletion, this.#search, doomed);
      this.#deleted(gone, doomed.length - gone.length);
    }
  }

  async #deleteBlobs(): Promise<void> {
    const { session, id, dryRun } = this.#parts;
    for (let after = ""; ; ) {
      const found = await findDoomedBlobs(session, this.#search, { dryRun, after, limit: rowsAtOnce });
      if (dryRun) await this.#list(id, found);
      else for (const item of found) await this.#deleteBlob(item);
      const last = found.at(-1);
      if (last === undefined) return;
      after = last.digest;
      await this.#begin("deleting blobs");
    }
  }

  async #deleteBlob(item: GcItem): Promise<void> {
    this.#options.signal?.throwIfAborted();
    try {
      await this.#deletion.failpoint("gc.afterPick");
      const isGone = await deleteBlob(this.#deletion, this.#search, item);
      this.#deleted(isGone ? [item] : [], isGone ? 0 : 1);
    } catch (error) {
      this.#options.observe?.({ kind: "error", error });
      this.#deleted([], 1);
      // The store's trouble with one blob is not the end; without the database nothing goes on.
      await this.#begin("deleting blobs");
    }
  }

  async #list(run: number, items: readonly GcItem[]): Promise<void> {
    await addItems(this.#parts.session, run, items);
    this.#count(items);
  }

  #deleted(items: readonly GcItem[], skipped: number): void {
    this.#counts.skipped += skipped;
    this.#count(items);
    const [first] = items;
    if (first === undefined) return;
    const bytes = first.kind === "link" ? 0 : sum(items);
    this.#options.observe?.({ kind: "deleted", of: first.kind, count: items.length, bytes });
  }

  /** A link has no bytes of its own. */
  #count(items: readonly GcItem[]): void {
    this.#counts.deleted += items.length;
    this.#counts.freedBytes += sum(items.filter(({ kind }) => kind !== "link"));
  }

  #marked(count: number): void {
    this.#counts.marked += count;
    if (count > 0) this.#options.observe?.({ kind: "marked", count });
  }

  async #eachRepositories(act: (ids: readonly number[]) => Promise<void>): Promise<void> {
    for (let last = 0; ; ) {
      this.#options.signal?.throwIfAborted();
      const rows = await this.#parts.session.query<{ id: string }>(
        "gc-repositories",
        "select id from repositories where id > $1 order by id limit $2",
        [last, repositoriesAtOnce],
      );
      const ids = rows.map(({ id }) => Number(id));
      if (ids.length > 0) await act(ids);
      if (ids.length < repositoriesAtOnce) return;
      last = ids.at(-1) ?? last;
    }
  }
}

const sum = (items: readonly GcItem[]): number => items.reduce((total, { size }) => total + size, 0);

function toBlobItem({ digest, size }: StoredBlob): GcItem {
  return { kind: "blob", repository: undefined, digest, size };
}

function byRepository(rows: readonly DoomedRow[]): DoomedRow[][] {
  const groups = Map.groupBy(rows, ({ repositoryId }) => repositoryId);
  return [...groups.values()];
}
