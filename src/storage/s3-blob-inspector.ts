import type { Digest } from "../oci/digest.ts";
import type { BlobInspector, InspectedBlob, Stray } from "./blob-inspector.ts";
import type { BlobReader } from "./blob-store.ts";
import type { Database } from "./database.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import { S3Objects } from "./s3-objects.ts";
import { readObjects } from "./s3-reader.ts";

/**
 * The objects of {@link S3BlobStore}, seen by checks of integrity. What is set aside stays under its keys, and its
 * name is these, in their order.
 */
export class S3BlobInspector implements BlobInspector {
  readonly #bucket: S3Bucket;
  readonly #objects: S3Objects;

  constructor({ database, bucket }: { readonly database: Database; readonly bucket: S3Bucket }) {
    this.#bucket = bucket;
    this.#objects = new S3Objects(database);
  }

  async inspect(digest: Digest): Promise<InspectedBlob | undefined> {
    const objects = await this.#objects.findBlob(digest);
    if (objects.length === 0) return undefined;
    const sizes = await Promise.all(objects.map(({ key }) => this.#bucket.findSize(key)));
    if (sizes.includes(undefined)) return undefined;
    const size = sizes.reduce<number>((sum, one) => sum + (one ?? 0), 0);
    return { size, identity: objects.map(({ key }, index) => `${key}:${sizes[index]}`).join(" ") };
  }

  async setAside(digest: Digest): Promise<string | undefined> {
    const keys = await this.#objects.setAside(digest);
    return keys.length === 0 ? undefined : keys.join(",");
  }

  async openAside(name: string): Promise<BlobReader | undefined> {
    const objects = await this.#objects.findAside(name.split(","));
    const sizes = await Promise.all(objects.map(({ key }) => this.#bucket.findSize(key)));
    if (objects.length === 0 || objects.some(({ size }, index) => sizes[index] !== size)) return undefined;
    return {
      size: objects.reduce((sum, { size }) => sum + size, 0),
      chunks: (first, last) => readObjects(this.#bucket, objects, first, last),
      close: async () => undefined,
    };
  }

  putBack(name: string): Promise<boolean> {
    return this.#objects.putBack(name.split(","));
  }

  isSettled(digest: Digest): Promise<boolean> {
    return this.#objects.isSettled(digest);
  }

  /**
   * A row comes before its object and goes after it: what is there and has none is a stray, at any age. Looked for in a
   * list and then, since a list may be stale, one by one.
   */
  async *listStrays(): AsyncGenerator<Stray> {
    for await (const page of this.#bucket.list()) {
      for (const name of await this.#objects.findUnknown(page)) {
        const size = await this.#bucket.findSize(name);
        if (size !== undefined && (await this.#objects.findUnknown([name])).length > 0)
          yield { kind: "object", name, size };
      }
    }
    const uploads = await this.#bucket.listUploads();
    for (const name of await this.#objects.findUnknown(uploads)) yield { kind: "upload", name, size: 0 };
  }
}
