import { constants } from "node:fs";
import { type FileHandle, link, open, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { algorithmOf, type Digest } from "../oci/digest.ts";
import type { BlobInspector, InspectedBlob } from "./blob-inspector.ts";
import type { BlobReader } from "./blob-store.ts";
import { readChunks } from "./file-chunks.ts";
import { isErrno, syncFolder } from "./file-errors.ts";
import { blobPath } from "./fs-layout.ts";
import { asidePath, setAsideFile } from "./fs-quarantine.ts";

const settledMs = 3_600_000;

/**
 * The files of {@link FsBlobStore}, seen by checks of integrity. What is set aside lies in
 * `<root>/quarantine/<algorithm>-<hex>-<32 hex digits>` until an operator removes it.
 */
export class FsBlobInspector implements BlobInspector {
  readonly #root: string;
  readonly #now: () => Date;

  /** `root` as {@link FsBlobStore.open} got it. */
  constructor(root: string, now: () => Date = () => new Date()) {
    this.#root = root;
    this.#now = now;
  }

  async inspect(digest: Digest): Promise<InspectedBlob | undefined> {
    const found = await stat(blobPath(this.#root, digest), { bigint: true }).catch(ifMissing);
    if (found === undefined) {
      // A disk that is not mounted has lost nothing: this throws.
      await stat(join(this.#root, "blobs", algorithmOf(digest)));
      return undefined;
    }
    // A directory there is no blob, and is left to the operator.
    if (!found.isFile()) throw new Error(`${blobPath(this.#root, digest)} is not a file`);
    return { size: Number(found.size), identity: `${found.dev}:${found.ino}:${found.mtimeNs}:${found.size}` };
  }

  setAside(digest: Digest): Promise<string | undefined> {
    return setAsideFile(this.#root, digest);
  }

  async openAside(name: string): Promise<BlobReader | undefined> {
    const path = asidePath(this.#root, name);
    const handle: FileHandle | undefined = await open(path, constants.O_RDONLY).catch(ifMissing);
    if (handle === undefined) return undefined;
    const { size } = await handle.stat();
    return { size, chunks: (first, last) => readChunks(handle, first, last), close: () => handle.close() };
  }

  async putBack(name: string, digest: Digest): Promise<boolean> {
    const [aside, path] = [asidePath(this.#root, name), blobPath(this.#root, digest)];
    try {
      await link(aside, path);
    } catch (error) {
      if (isErrno(error, "EEXIST") || isErrno(error, "ENOENT")) return false;
      throw error;
    }
    await syncFolder(join(path, ".."));
    await unlink(aside).catch(ifMissing);
    return true;
  }

  async isSettled(digest: Digest): Promise<boolean> {
    const found = await stat(blobPath(this.#root, digest)).catch(ifMissing);
    // The time of its name, which no client sets.
    return found !== undefined && found.ctimeMs < this.#now().getTime() - settledMs;
  }

  async *listStrays(): AsyncGenerator<never> {
    // Files are found by their digests; what has another name is not ours.
  }
}

function ifMissing(error: unknown): undefined {
  if (!isErrno(error, "ENOENT")) throw error;
}
