import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { BlobInventory, StoredBlob, WithdrawnBlob } from "./blob-inventory.ts";
import type { Database } from "./database.ts";
import { type Failpoint, noFailpoint } from "./failpoint.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import { S3Objects } from "./s3-objects.ts";
import { removeDoomed } from "./s3-removal.ts";

const blobsAtOnce = 1_000;
const markKey = "gc-mark";

export interface S3BlobInventoryParts {
  readonly database: Database;
  readonly bucket: S3Bucket;
  readonly failpoint?: Failpoint;
}

/**
 * The objects of {@link S3BlobStore}, seen by the collector. The objects of a withdrawn blob become pieces that no upload
 * has: should this process die, the sweep of such pieces removes them. Those that became the blob within the hour may
 * still be the pieces of a push that has not committed: they are left to that sweep too.
 */
export class S3BlobInventory implements BlobInventory {
  readonly #bucket: S3Bucket;
  readonly #objects: S3Objects;
  readonly #failpoint: Failpoint;

  constructor({ database, bucket, failpoint = noFailpoint }: S3BlobInventoryParts) {
    this.#bucket = bucket;
    this.#objects = new S3Objects(database);
    this.#failpoint = failpoint;
  }

  async *list(): AsyncGenerator<StoredBlob> {
    for (let after: Digest | "" = ""; ; ) {
      const blobs: StoredBlob[] = await this.#objects.findBlobs(after, blobsAtOnce);
      yield* blobs;
      const [last] = blobs.slice(-1);
      if (last === undefined) return;
      after = last.digest;
    }
  }

  async withdraw(digest: Digest): Promise<WithdrawnBlob | undefined> {
    const withdrawn = await this.#objects.withdraw(digest);
    if (withdrawn.length === 0) return undefined;
    const [keys, settled] = [withdrawn, withdrawn.filter(({ isSettled }) => isSettled)].map((objects) =>
      objects.map(({ key }) => key),
    ) as [string[], string[]];
    const parts = { bucket: this.#bucket, objects: this.#objects, failpoint: this.#failpoint };
    const discard = async (): Promise<void> => removeDoomed(parts, await this.#objects.doom(settled));
    const restore = async (): Promise<void> => {
      const isBack = await this.#objects.keep(digest, keys).catch((error: unknown) => {
        // The push whose pieces they are has published them again.
        if (error instanceof OciError && error.code === "BLOB_UPLOAD_UNKNOWN") return true;
        throw error;
      });
      if (!isBack) await discard();
    };
    return { discard, restore };
  }

  /** An object of the bucket, not a row: it must not go back in time with the database. */
  async readMark(): Promise<number> {
    const size = await this.#bucket.findSize(markKey);
    if (size === undefined) return 0;
    const pieces: Uint8Array[] = [];
    for await (const piece of await this.#bucket.get(markKey, 0, size - 1)) pieces.push(piece);
    return Number(Buffer.concat(pieces).toString());
  }

  async writeMark(runs: number): Promise<void> {
    await this.#bucket.put(markKey, Buffer.from(`${runs}\n`));
  }
}
