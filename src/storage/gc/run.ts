import type { StoredBlob } from "../blob-inventory.ts";
import { clearBlobMarks } from "../blob-rows.ts";
import type { Session } from "../database.ts";
import { noFailpoint } from "../failpoint.ts";
import { inGroups } from "../in-groups.ts";
import type { CollectorOptions } from "./collector.ts";
import { type DeletionParts, deleteBlobs, deleteLinks, deleteManifestRows } from "./deletion.ts";
import {
  type DoomedRow,
  findDoomedBlobs,
  findDoomedLinks,
  findDoomedManifests,
  type Page,
  toBlobItem,
} from "./doomed.ts";
import { adoptOrphans, findOrphans, markBlobs, markLinks, markManifests } from "./marks.ts";
import { Pace } from "./pace.ts";
import { addItems, type GcItem, type GcRuns } from "./runs.ts";

export interface RunParts {
  readonly session: Session;
  readonly runs: GcRuns;
  readonly id: number;
  readonly dryRun: boolean;
}

/** Those that a look-up answers with at most. */
const rowsAtOnce = 2_000;
/** Those that are deleted in one transaction. */
const deletedAtOnce = 200;
/** Each has bytes, whose removal takes the blob store its time while the rows are locked. */
const blobsDeletedAtOnce = 16;
const reportMs = 100;

/** For the connection of a run. */
const DURABLE = `select set_config(name, reset_val, false) from pg_settings where name = 'synchronous_commit'`;

/** One collection, by whoever holds the lock. */
export class Run {
  readonly #options: CollectorOptions;
  readonly #parts: RunParts;
  readonly #deletion: DeletionParts;
  readonly #search: { readonly run: number; readonly graceSeconds: number };
  readonly #counts = { stage: "starting", marked: 0, deleted: 0, freedBytes: 0, skipped: 0 };
  #reportedAt = performance.now();
  #isDurable = false;

  constructor(options: CollectorOptions, parts: RunParts) {
    const { inventory, graceSeconds, failpoint = noFailpoint } = options;
    this.#options = options;
    this.#parts = parts;
    const onLeftOver = (error: unknown): void => options.observe?.({ kind: "error", error });
    this.#deletion = { session: parts.session, inventory, failpoint, onLeftOver };
    this.#search = { run: parts.id, graceSeconds };
  }

  /** To its end, which is on record then. */
  async go(): Promise<void> {
    if (!this.#parts.dryRun) await this.#mark();
    await this.#adopt();
    await this.#begin("deleting manifests");
    await this.#deleteManifests();
    await this.#begin("deleting links");
    await this.#eachRepositories((ids) => this.#deleteLinks(ids));
    await this.#begin("deleting blobs");
    await this.#deleteBlobs();
    this.#counts.stage = "over";
    await this.#parts.runs.end(this.#parts.id, "done", { counts: this.#counts });
  }

  /** Says so at once where the stage before took its time; each report is a commit. */
  async #begin(stage: string): Promise<void> {
    this.#counts.stage = stage;
    if (performance.now() - this.#reportedAt < reportMs) return;
    await this.#parts.runs.report(this.#parts.id, this.#counts);
    this.#reportedAt = performance.now();
  }

  /** The commit of this report puts all before it on disk: without their marks, no bytes go. So do all commits from now on. */
  async #makeDurable(): Promise<void> {
    if (this.#isDurable) return;
    await this.#parts.session.query("gc-durable", DURABLE);
    await this.#parts.runs.report(this.#parts.id, this.#counts);
    this.#isDurable = true;
  }

  async #mark(): Promise<void> {
    const { session } = this.#parts;
    await this.#begin("marking");
    const untagged = this.#options.untaggedSeconds === undefined;
    await this.#eachRepositories(async (ids) => {
      this.#marked(await markManifests(session, ids, untagged));
      this.#marked(await markLinks(session, ids));
    });
    const pace = new Pace({ least: 100, most: 5_000 });
    for (let after: string | undefined = ""; after !== undefined; ) {
      this.#options.signal?.throwIfAborted();
      const from: string = after;
      const { marked, last, revived } = await pace.step(() => markBlobs(session, from, pace.size));
      this.#marked(marked);
      await this.#revive(revived);
      await this.#begin("marking");
      after = last;
    }
    await (this.#options.failpoint ?? noFailpoint)("gc.afterMark");
  }

  async #revive(revived: readonly StoredBlob[]): Promise<void> {
    for (const blob of revived) {
      // A link leads to it, so nobody takes the bytes between this look and the change.
      if (await this.#options.seeBytes(blob.digest, blob.size))
        await clearBlobMarks(this.#parts.session, [blob.digest]);
      else this.#options.observe?.({ kind: "damaged", blob });
    }
  }

  /** A dry run lists those that a real one would adopt and, without any grace, delete at once. */
  async #adopt(): Promise<void> {
    await this.#begin("looking for bytes without rows");
    const { session, dryRun } = this.#parts;
    const pace = new Pace({ least: 1_000, most: 1_000 });
    for await (const some of inGroups(this.#options.inventory.list(), pace.size)) {
      this.#options.signal?.throwIfAborted();
      const orphans = await pace.step(() => findOrphans(session, some));
      if (orphans.length === 0) continue;
      if (!dryRun) this.#marked(await adoptOrphans(session, orphans));
      else if (this.#options.graceSeconds === 0) await this.#list(orphans.map(toBlobItem));
    }
  }

  /** All the way round once more where an index went after what it listed had been looked at. */
  async #deleteManifests(): Promise<void> {
    const { session, id: run } = this.#parts;
    const { untaggedSeconds } = this.#options;
    if (untaggedSeconds === undefined) return;
    const { skipped: before } = this.#counts;
    for (let deleted = -1; deleted !== this.#counts.deleted; ) {
      deleted = this.#counts.deleted;
      this.#counts.skipped = before;
      await this.#eachRepositories((ids) =>
        this.#eachDoomed(ids, {
          find: (page) => findDoomedManifests(session, page, untaggedSeconds),
          remove: (doomed) => deleteManifestRows(this.#deletion, { run, doomed, untaggedSeconds }),
        }),
      );
      if (this.#parts.dryRun || this.#counts.skipped === before) return;
    }
  }

  #deleteLinks(ids: readonly number[]): Promise<void> {
    return this.#eachDoomed(ids, {
      find: (page) => findDoomedLinks(this.#parts.session, page, this.#search),
      remove: (doomed) => deleteLinks(this.#deletion, this.#search, doomed),
    });
  }

  async #eachDoomed(
    repositories: readonly number[],
    {
      find,
      remove,
    }: { find(page: Page): Promise<DoomedRow[]>; remove(doomed: readonly DoomedRow[]): Promise<DoomedRow[]> },
  ): Promise<void> {
    for (let after: DoomedRow | undefined; ; ) {
      const found = await find({ repositories, after, limit: rowsAtOnce });
      if (this.#parts.dryRun) await this.#list(found);
      else
        for (const doomed of chunks(found, this.#options.manifestsAtOnce ?? deletedAtOnce)) {
          this.#options.signal?.throwIfAborted();
          await this.#deletion.failpoint("gc.afterPick");
          const gone = await remove(doomed);
          this.#deleted(gone, doomed.length - gone.length);
        }
      if (found.length < rowsAtOnce) return;
      after = found.at(-1);
    }
  }

  async #deleteBlobs(): Promise<void> {
    const { session, dryRun } = this.#parts;
    const pace = new Pace({ least: 100, most: 5_000 });
    for (let after: string | undefined = ""; after !== undefined; ) {
      this.#options.signal?.throwIfAborted();
      const from: string = after;
      const { items, last } = await pace.step(() =>
        findDoomedBlobs(session, this.#search, { dryRun, after: from, limit: pace.size }),
      );
      if (dryRun) await this.#list(items);
      else for (const some of chunks(items, blobsDeletedAtOnce)) await this.#deleteSome(some);
      await this.#begin("deleting blobs");
      after = last;
    }
  }

  async #deleteSome(items: readonly GcItem[]): Promise<void> {
    this.#options.signal?.throwIfAborted();
    await this.#makeDurable();
    try {
      await this.#deletion.failpoint("gc.afterPick");
      const gone = await deleteBlobs(this.#deletion, this.#search, items);
      this.#deleted(gone, items.length - gone.length);
    } catch (error) {
      // The store's trouble may be with one of them.
      if (items.length > 1) for (const item of items) await this.#deleteSome([item]);
      else await this.#skip(error);
    }
  }

  async #skip(error: unknown): Promise<void> {
    this.#options.observe?.({ kind: "error", error });
    this.#deleted([], 1);
    // The store's trouble with one blob is not the end; without the database nothing goes on.
    await this.#parts.runs.report(this.#parts.id, this.#counts);
  }

  async #list(items: readonly GcItem[]): Promise<void> {
    await addItems(this.#parts.session, this.#parts.id, items);
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
    const pace = new Pace({ least: 20, most: 1_000 });
    for (let last = 0; ; ) {
      this.#options.signal?.throwIfAborted();
      const asked = pace.size;
      const rows = await this.#parts.session.query<{ id: string }>(
        "gc-repositories",
        "select id from repositories where id > $1 order by id limit $2",
        [last, asked],
      );
      const ids = rows.map(({ id }) => Number(id));
      if (ids.length > 0) await pace.step(() => act(ids));
      if (ids.length < asked) return;
      last = ids.at(-1) ?? last;
      await this.#begin(this.#counts.stage);
    }
  }
}

const sum = (items: readonly GcItem[]): number => items.reduce((total, { size }) => total + size, 0);

function* chunks<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}
