import { constants } from "node:fs";
import { type FileHandle, link, mkdir, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { algorithmOf, type Digest, type DigestAlgorithm, DigestHasher } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { BlobReader, BlobStore, StoredSegment } from "./blob-store.ts";
import { type Failpoint, noFailpoint } from "./failpoint.ts";
import { readChunks } from "./file-chunks.ts";
import { isErrno, refuseFullDisk, syncFolder } from "./file-errors.ts";
import { FileWriter } from "./file-writer.ts";
import { ALGORITHMS, blobPath, newSegmentName, SEGMENT, segmentPath } from "./fs-layout.ts";
import { setAsideFile } from "./fs-quarantine.ts";

/**
 * Blobs as files:
 *
 *   <root>/blobs/<algorithm>/<first two hex digits>/<hex>   whole and synced before it has this name
 *   <root>/uploads/<32 hex digits>                          pieces of uploads, one file for each request
 *   <root>/quarantine/…                                     what was damaged: see fs-quarantine.ts
 *
 * A blob gets its name by link(2) from a synced file, and the folder is synced before anyone is told. File names are
 * made of checked hex only.
 */
export class FsBlobStore implements BlobStore {
  readonly #root: string;
  readonly #failpoint: Failpoint;

  private constructor(root: string, failpoint: Failpoint) {
    this.#root = root;
    this.#failpoint = failpoint;
  }

  /** Makes the folders that are missing. Syncs all: a start that was killed may have made some and not come to that. */
  static async open(root: string, failpoint: Failpoint = noFailpoint): Promise<FsBlobStore> {
    await mkdir(join(root, "uploads"), { recursive: true, mode: 0o700 });
    for (const algorithm of ALGORITHMS) {
      const folder = join(root, "blobs", algorithm);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const present = new Set(await readdir(folder));
      const missing = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, "0")).filter(
        (name) => !present.has(name),
      );
      for (const name of missing) await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
      await syncFolder(folder);
    }
    for (const folder of [join(root, "blobs"), root, join(root, "..")]) await syncFolder(folder);
    return new FsBlobStore(root, failpoint);
  }

  async open(digest: Digest): Promise<BlobReader | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(blobPath(this.#root, digest), constants.O_RDONLY);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return undefined;
      throw error;
    }
    const { size } = await handle.stat();
    return { size, chunks: (first, last) => readChunks(handle, first, last), close: () => handle.close() };
  }

  async findSize(digest: Digest): Promise<number | undefined> {
    const found = await stat(blobPath(this.#root, digest)).catch((error: unknown) => {
      if (!isErrno(error, "ENOENT")) throw error;
    });
    return found?.size;
  }

  async writeSegment(content: AsyncIterable<Uint8Array>, algorithm: DigestAlgorithm): Promise<StoredSegment> {
    const name = newSegmentName();
    const path = segmentPath(this.#root, name);
    const hasher = new DigestHasher(algorithm);
    try {
      const writer = await FileWriter.create(path);
      try {
        for await (const chunk of content) {
          hasher.update(chunk);
          await writer.write(chunk);
        }
        await this.#failpoint("upload.afterWrite");
        await writer.sync();
      } finally {
        await writer.close();
      }
      await this.#failpoint("blob.afterFsync");
      await syncFolder(join(this.#root, "uploads"));
      await this.#failpoint("upload.afterSync");
      return { name, size: writer.size, digest: hasher.digest() };
    } catch (error) {
      await this.discard([name]);
      throw refuseFullDisk(error);
    }
  }

  publish(segments: readonly string[], expected: Digest, known?: Digest): Promise<number> {
    const algorithm = algorithmOf(expected);
    return this.#asOneFile(segments, { algorithm, known }, (file, actual) => this.#publishFile(file, expected, actual));
  }

  async replace(segments: readonly string[], digest: Digest): Promise<void> {
    await this.#asOneFile(segments, { algorithm: algorithmOf(digest), known: digest }, async (file, actual) => {
      const paths = [segmentPath(this.#root, file), blobPath(this.#root, digest)];
      const [piece, present] = await Promise.all(paths.map(findInode));
      // The piece itself may be the blob already.
      if (present !== undefined && present !== piece) await setAsideFile(this.#root, digest);
      return this.#publishFile(file, digest, actual);
    });
  }

  async discard(segments: readonly string[]): Promise<void> {
    for (const name of segments) {
      await unlink(segmentPath(this.#root, name)).catch((error: unknown) => {
        if (!isErrno(error, "ENOENT")) throw error;
      });
      await this.#failpoint("del.afterUnlink");
    }
  }

  async listIdleSegments(ms: number): Promise<string[]> {
    const before = Date.now() - ms;
    const idle: string[] = [];
    for (const name of await readdir(join(this.#root, "uploads"))) {
      if (!SEGMENT.test(name)) continue;
      const found = await stat(segmentPath(this.#root, name)).catch((error: unknown) => {
        if (!isErrno(error, "ENOENT")) throw error;
      });
      if (found !== undefined && found.mtimeMs < before) idle.push(name);
    }
    return idle;
  }

  async presign(): Promise<undefined> {
    return undefined;
  }

  /** `known`: what the pieces hash to, where that is known. */
  async #asOneFile(
    segments: readonly string[],
    { algorithm, known }: { readonly algorithm: DigestAlgorithm; readonly known: Digest | undefined },
    act: (file: string, actual: Digest) => Promise<number>,
  ): Promise<number> {
    const [only] = segments;
    try {
      if (segments.length === 1 && only !== undefined) {
        return await act(only, known ?? (await this.#hashSegment(only, algorithm)));
      }
      const joined = await this.writeSegment(this.#readSegments(segments), algorithm);
      try {
        return await act(joined.name, joined.digest);
      } finally {
        await this.discard([joined.name]);
      }
    } catch (error) {
      if (isErrno(error, "ENOENT")) throw new OciError("BLOB_UPLOAD_UNKNOWN", { cause: error });
      throw refuseFullDisk(error);
    }
  }

  async #publishFile(segment: string, expected: Digest, actual: Digest): Promise<number> {
    if (actual !== expected) throw new OciError("DIGEST_INVALID", { detail: { expected, actual } });
    const source = segmentPath(this.#root, segment);
    const target = blobPath(this.#root, expected);
    const { size } = await stat(source);
    await this.#failpoint("blob.afterHash");
    await this.#linkOrReplace(source, target, size);
    await this.#failpoint("blob.afterRename");
    // Also when the name was there before: whoever made it may not have synced the folder yet.
    await syncFolder(join(target, ".."));
    await this.#failpoint("blob.afterDirSync");
    return size;
  }

  /** A file of the wrong size under a blob's name is damage from outside; the good bytes at hand mend it. */
  async #linkOrReplace(source: string, target: string, size: number): Promise<void> {
    try {
      return await linkIntoFolder(source, target);
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
    }
    const found = await stat(target).catch((error: unknown) => {
      if (!isErrno(error, "ENOENT")) throw error;
    });
    if (found?.size === size) return;
    // Of another size, or collected since: the good bytes go there.
    const temporary = segmentPath(this.#root, newSegmentName());
    await link(source, temporary);
    await rename(temporary, target);
  }

  async #hashSegment(name: string, algorithm: DigestAlgorithm): Promise<Digest> {
    const hasher = new DigestHasher(algorithm);
    for await (const chunk of this.#readSegments([name])) hasher.update(chunk);
    return hasher.digest();
  }

  async *#readSegments(names: readonly string[]): AsyncGenerator<Uint8Array> {
    for (const name of names) {
      const handle = await open(segmentPath(this.#root, name), constants.O_RDONLY);
      try {
        const { size } = await handle.stat();
        yield* readChunks(handle, 0, size - 1);
      } finally {
        await handle.close();
      }
    }
  }
}

/** A folder that somebody removed is made again: all that was in it is missing, and comes back with the next pushes. */
async function linkIntoFolder(source: string, target: string): Promise<void> {
  const folder = join(target, "..");
  await link(source, target).catch(async (error: unknown) => {
    if (!isErrno(error, "ENOENT")) throw error;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await syncFolder(join(folder, ".."));
    await link(source, target);
  });
}

/** Undefined when there is no such file. */
async function findInode(path: string): Promise<bigint | undefined> {
  const found = await stat(path, { bigint: true }).catch((error: unknown) => {
    if (!isErrno(error, "ENOENT")) throw error;
  });
  return found?.ino;
}
