import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Digest } from "../../oci/digest.ts";
import type { BlobInventory, StoredBlob } from "../../storage/blob-inventory.ts";
import type { BlobStore } from "../../storage/blob-store.ts";
import type { Database } from "../../storage/database.ts";
import type { Failpoint } from "../../storage/failpoint.ts";
import { FsBlobInventory } from "../../storage/fs-blob-inventory.ts";
import { FsBlobStore } from "../../storage/fs-blob-store.ts";
import type { Random } from "./random.ts";

export interface ProcessParts {
  /** The process's own connections. */
  readonly database: Database;
  readonly failpoint: Failpoint;
}

export interface ProcessStorage {
  readonly blobs: BlobStore;
  readonly inventory: BlobInventory;
}

/** Where the blobs of all schedules are, as each process sees it. */
export interface ExploredStorage {
  /** `opened`: what the process had that this one takes the place of. */
  open(parts: ProcessParts, opened: ProcessStorage | undefined): Promise<ProcessStorage>;
  /** A failpoint of the storage's own where whoever stands there holds a half-done deed. */
  isStop(point: string): boolean;
  /** Decides what goes wrong in the schedule that begins. */
  upset(random: Random): void;
  /** Nothing goes wrong any more. */
  calm(): void;
  /** No push is under way: from now on nothing that is stored counts as just stored. */
  timePasses(): Promise<void>;
  /** @throws Error for what no blob and no upload needs, a day and two sweeps later */
  checkSwept(): Promise<void>;
  reset(): Promise<void>;
  close(): Promise<void>;
}

const nothing = (): void => undefined;

/** Files know of no day that is bad. */
export class ExploredFiles implements ExploredStorage {
  readonly isStop = () => false;
  readonly upset = nothing;
  readonly calm = nothing;
  readonly timePasses = async (): Promise<void> => undefined;
  readonly checkSwept = async (): Promise<void> => undefined;
  readonly #root = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "goldseal-explore-"));
  readonly #universe: ReadonlyMap<Digest, Buffer>;

  /** `universe`: what there may be in a schedule, by digest. */
  constructor(universe: ReadonlyMap<Digest, Buffer>) {
    this.#universe = universe;
  }

  /** Files have no connection that could die. */
  async open({ failpoint }: ProcessParts, opened: ProcessStorage | undefined): Promise<ProcessStorage> {
    const blobs = opened?.blobs ?? (await FsBlobStore.open(this.#root, failpoint));
    return { blobs, inventory: new UniverseInventory(this.#root, blobs, this.#universe) };
  }

  async reset(): Promise<void> {
    for (const digest of this.#universe.keys()) {
      const found = await new FsBlobInventory(this.#root).withdraw(digest);
      await found?.discard();
    }
  }

  async close(): Promise<void> {
    rmSync(this.#root, { recursive: true, force: true });
  }
}

/** Lists what a schedule may have stored without looking through 512 folders each time; all else is the real one's. */
class UniverseInventory extends FsBlobInventory {
  readonly #blobs: BlobStore;
  readonly #universe: ReadonlyMap<Digest, Buffer>;

  constructor(root: string, blobs: BlobStore, universe: ReadonlyMap<Digest, Buffer>) {
    super(root);
    this.#blobs = blobs;
    this.#universe = universe;
  }

  override async *list(): AsyncGenerator<StoredBlob> {
    for (const digest of this.#universe.keys()) {
      const size = await this.#blobs.findSize(digest);
      if (size !== undefined) yield { digest, size };
    }
  }
}
