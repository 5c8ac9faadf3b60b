import { link, readdir, readFile, rename, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, type DigestAlgorithm, isDigest, parseDigest } from "../oci/digest.ts";
import type { BlobInventory, StoredBlob, WithdrawnBlob } from "./blob-inventory.ts";
import { isErrno, syncFolder } from "./file-errors.ts";
import { ALGORITHMS, blobPath, newSegmentName, segmentPath } from "./fs-layout.ts";

/** Most are empty or hold few files, and their reading is waiting; so many at once for as long as they hold few. */
const foldersAtOnce = { least: 32, most: 256 };
const filesAtOnce = 2_000;

/**
 * The files of {@link FsBlobStore}, seen by the collector. A withdrawn blob becomes a piece that no upload has: should
 * this process die, the sweep of such pieces removes it. `<root>/gc-mark` holds the number of {@link readMark}.
 */
export class FsBlobInventory implements BlobInventory {
  readonly #root: string;

  /** `root` as {@link FsBlobStore.open} got it. */
  constructor(root: string) {
    this.#root = root;
  }

  async *list(): AsyncGenerator<StoredBlob> {
    for (const algorithm of ALGORITHMS) {
      const folder = join(this.#root, "blobs", algorithm);
      const parts = await readdir(folder);
      let width = foldersAtOnce.least;
      for (let first = 0, next = 0; first < parts.length; first = next) {
        next = first + width;
        const some = parts.slice(first, next);
        const found = (await Promise.all(some.map((part) => listFolder(algorithm, join(folder, part))))).flat();
        width = Math.floor((some.length * filesAtOnce) / Math.max(1, found.length));
        width = Math.min(foldersAtOnce.most, Math.max(foldersAtOnce.least, width));
        yield* found;
      }
    }
  }

  async withdraw(digest: Digest): Promise<WithdrawnBlob | undefined> {
    const path = blobPath(this.#root, digest);
    const aside = segmentPath(this.#root, newSegmentName());
    try {
      // As a piece it is young: the sweep must not take it before it is discarded or restored.
      await utimes(path, new Date(), new Date());
      await rename(path, aside);
    } catch (error) {
      return ifMissing(error);
    }
    const discard = async (): Promise<void> => void (await unlink(aside).catch(ifMissing));
    const restore = async (): Promise<void> => {
      await link(aside, path).catch((error: unknown) => {
        if (!isErrno(error, "EEXIST")) throw error;
      });
      // Whoever sees the bytes there may clear the mark and count on them.
      await syncFolder(join(path, ".."));
      await discard();
    };
    return { discard, restore };
  }

  async readMark(): Promise<number> {
    const text = await readFile(this.#markPath, "utf8").catch(ifMissing);
    return text === undefined ? 0 : Number(text.trim());
  }

  async writeMark(runs: number): Promise<void> {
    // Never half-written: a mark that cannot be read would hold every run.
    const aside = segmentPath(this.#root, newSegmentName());
    await writeFile(aside, `${runs}\n`, { mode: 0o600 });
    await rename(aside, this.#markPath);
  }

  get #markPath(): string {
    return join(this.#root, "gc-mark");
  }
}

async function listFolder(algorithm: DigestAlgorithm, folder: string): Promise<StoredBlob[]> {
  const blobs: StoredBlob[] = [];
  for (const hex of await readdir(folder)) {
    if (!isDigest(`${algorithm}:${hex}`)) continue;
    const found = await stat(join(folder, hex)).catch(ifMissing);
    if (found?.isFile() === true) blobs.push({ digest: parseDigest(`${algorithm}:${hex}`), size: found.size });
  }
  return blobs;
}

function ifMissing(error: unknown): undefined {
  if (!isErrno(error, "ENOENT")) throw error;
}
