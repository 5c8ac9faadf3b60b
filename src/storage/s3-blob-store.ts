import { algorithmOf, type Digest, type DigestAlgorithm, DigestHasher } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { BlobReader, BlobStore, StoredSegment } from "./blob-store.ts";
import type { Database } from "./database.ts";
import { type Failpoint, noFailpoint } from "./failpoint.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import { PartMemory, partBytes, S3ObjectWriter, type WriterParts } from "./s3-object-writer.ts";
import { type S3Object, S3Objects } from "./s3-objects.ts";
import { readObjects } from "./s3-reader.ts";
import { isUnavailable, removeDoomed } from "./s3-removal.ts";

const KEY = /^[0-9a-f]{32}$/;
/** What S3 takes as a part. A piece below this is too small to be left an object of its own among others. */
const smallBytes = 5 * 1024 * 1024;
/** A blob that is stored and deleted by others again and again is not waited for for ever. */
const maxAttempts = 5;

export interface S3BlobStoreOptions {
  readonly database: Database;
  readonly bucket: S3Bucket;
  readonly failpoint?: Failpoint;
  readonly now?: () => Date;
  /** For tests: how large part `number` is. */
  readonly partBytes?: (number: number) => number;
}

/**
 * Blobs as objects:
 *
 *   <prefix>/<first two digits>/<32 hex digits>   one piece of an upload: all that one request brought
 *
 * A piece is written once, under the key that it keeps; the key is random. To publish is to write into its row which
 * blob it is. A blob of several pieces is several objects in a row of keys, but small neighbours are put together
 * while they are read to be hashed. What a key holds, and that it exists at all, is known from rows alone.
 */
export class S3BlobStore implements BlobStore {
  readonly #bucket: S3Bucket;
  readonly #objects: S3Objects;
  readonly #writing: WriterParts;
  readonly #now: () => Date;

  constructor({ database, bucket, ...options }: S3BlobStoreOptions) {
    this.#bucket = bucket;
    this.#objects = new S3Objects(database);
    this.#now = options.now ?? (() => new Date());
    this.#writing = {
      bucket,
      objects: this.#objects,
      memory: new PartMemory(),
      failpoint: options.failpoint ?? noFailpoint,
      partBytes: options.partBytes ?? partBytes,
    };
  }

  async open(digest: Digest): Promise<BlobReader | undefined> {
    const objects = await this.#objects.findBlob(digest);
    if (objects.length === 0 || !(await this.#areThere(objects))) return undefined;
    return {
      size: sizeOf(objects),
      chunks: (first, last) => readObjects(this.#bucket, objects, first, last),
      close: async () => undefined,
    };
  }

  async findSize(digest: Digest): Promise<number | undefined> {
    const objects = await this.#objects.findBlob(digest);
    return objects.length > 0 && (await this.#areThere(objects)) ? sizeOf(objects) : undefined;
  }

  async writeSegment(content: AsyncIterable<Uint8Array>, algorithm: DigestAlgorithm): Promise<StoredSegment> {
    const hasher = new DigestHasher(algorithm);
    const writer = await S3ObjectWriter.create(this.#writing);
    try {
      for await (const chunk of content) {
        hasher.update(chunk);
        await writer.write(chunk);
      }
      await this.#writing.failpoint("upload.afterWrite");
      await writer.finish();
      await this.#writing.failpoint("upload.afterSync");
      return { name: writer.key, size: writer.size, digest: hasher.digest() };
    } catch (error) {
      await writer.close();
      // What the bucket did not answer to in time it may still do: only the sweep can tell that nothing came of it.
      if (isUnavailable(error)) await this.#objects.doom([writer.key]);
      else await this.discard([writer.key]);
      throw error;
    } finally {
      await writer.close();
    }
  }

  async publish(segments: readonly string[], expected: Digest, known?: Digest): Promise<number> {
    checkKeys(segments);
    const pieces = await this.#objects.getPieces(segments);
    const made: string[] = [];
    try {
      const { keys, digest } = await this.#lineUp(pieces, { expected, known, made });
      if (digest !== expected) throw new OciError("DIGEST_INVALID", { detail: { expected, actual: digest } });
      await this.#writing.failpoint("blob.afterHash");
      await this.#keep(expected, keys);
      return sizeOf(pieces);
    } finally {
      // Those that became the blob are left alone.
      await this.discard(made);
    }
  }

  async replace(segments: readonly string[], digest: Digest): Promise<void> {
    checkKeys(segments);
    const made: string[] = [];
    try {
      const pieces = await this.#objects.getPieces(segments);
      const { keys, digest: actual } = await this.#lineUp(pieces, { expected: digest, known: digest, made });
      if (actual !== digest) throw new OciError("DIGEST_INVALID", { detail: { expected: digest, actual } });
      const present = await this.#objects.findBlob(digest);
      // The pieces themselves may be the blob already.
      if (present.every(({ key }) => keys.includes(key)) && present.length === keys.length) return;
      await this.#objects.setAside(digest);
      await this.#keep(digest, keys);
    } finally {
      await this.discard(made);
    }
  }

  async discard(segments: readonly string[]): Promise<void> {
    checkKeys(segments);
    if (segments.length > 0) await removeDoomed(this.#writing, await this.#objects.doom(segments));
  }

  async listIdleSegments(ms: number): Promise<string[]> {
    return this.#objects.findIdle(ms);
  }

  async presign(digest: Digest, seconds: number): Promise<string | undefined> {
    const [only, ...more] = await this.#objects.findBlob(digest);
    if (only === undefined || more.length > 0) return undefined;
    // Whoever was sent away to an object that is not there would not come back to tell.
    if ((await this.#bucket.findSize(only.key)) !== only.size) return undefined;
    return this.#bucket.presign(only.key, { seconds, now: this.#now() });
  }

  /** The objects that will be the blob, and what they hash to. Notes in `made` those that it had to write. */
  async #lineUp(
    pieces: readonly S3Object[],
    { expected, known, made }: { expected: Digest; known: Digest | undefined; made: string[] },
  ): Promise<{ keys: string[]; digest: Digest }> {
    const algorithm = algorithmOf(expected);
    const runs = toRuns(pieces, expected);
    const isReady = pieces.length === 1 && pieces.every((piece) => isFree(piece, expected));
    if (isReady && known !== undefined) return { keys: pieces.map(({ key }) => key), digest: known };

    const hasher = new DigestHasher(algorithm);
    const keys: string[] = [];
    for (const run of runs.length === 0 ? [[]] : runs) {
      const [only, ...more] = run;
      const content = this.#readAndHash(run, hasher);
      if (only !== undefined && more.length === 0 && isFree(only, expected)) {
        for await (const _ of content);
        keys.push(only.key);
      } else {
        const { name } = await this.writeSegment(content, algorithm);
        made.push(name);
        keys.push(name);
      }
    }
    return { keys, digest: hasher.digest() };
  }

  async *#readAndHash(objects: readonly S3Object[], hasher: DigestHasher): AsyncGenerator<Uint8Array> {
    for await (const chunk of readObjects(this.#bucket, objects, 0, sizeOf(objects) - 1)) {
      hasher.update(chunk);
      yield chunk;
    }
  }

  /** A blob that is there already stays as it is, unless its objects are gone: then these take their place. */
  async #keep(digest: Digest, keys: readonly string[]): Promise<void> {
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      const present = await this.#objects.findBlob(digest);
      if (present.length > 0 && (await this.#areThere(present))) return;
      if (present.length > 0) await removeDoomed(this.#writing, await this.#objects.release(digest));
      if (await this.#objects.keep(digest, keys)) return;
    }
    throw new Error(`blob ${digest} was stored and deleted by others ${maxAttempts} times`);
  }

  async #areThere(objects: readonly S3Object[]): Promise<boolean> {
    const sizes = await Promise.all(objects.map(({ key }) => this.#bucket.findSize(key)));
    return objects.every(({ size }, index) => sizes[index] === size);
  }
}

/** Small neighbours, and what belongs to another blob already, are to be written anew; the others stay. */
function toRuns(pieces: readonly S3Object[], digest: Digest): S3Object[][] {
  const runs: S3Object[][] = [];
  let isOpen = false;
  for (const piece of pieces) {
    const isSmall = piece.size < smallBytes || !isFree(piece, digest);
    if (isSmall && isOpen) runs.at(-1)?.push(piece);
    else runs.push([piece]);
    isOpen = isSmall;
  }
  return runs;
}

function isFree(object: S3Object, digest: Digest): boolean {
  return object.digest === undefined || object.digest === digest;
}

function sizeOf(objects: readonly S3Object[]): number {
  return objects.reduce((sum, { size }) => sum + size, 0);
}

/** Names come from rows: one that this store did not make must not become a key. */
function checkKeys(names: readonly string[]): void {
  for (const name of names) {
    if (!KEY.test(name)) throw new OciError("BLOB_UPLOAD_INVALID", { detail: { segment: name } });
  }
}
