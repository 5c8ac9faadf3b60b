import type { BlobInspector } from "./blob-inspector.ts";
import type { BlobInventory } from "./blob-inventory.ts";
import type { BlobStore } from "./blob-store.ts";
import type { Database } from "./database.ts";
import type { Failpoint } from "./failpoint.ts";
import { FsBlobInspector } from "./fs-blob-inspector.ts";
import { FsBlobInventory } from "./fs-blob-inventory.ts";
import { FsBlobStore } from "./fs-blob-store.ts";
import type { S3Settings } from "./s3-client.ts";

/** The bytes, for those who read and write them, for the collector and for checks of integrity. */
export interface Blobs {
  readonly blobs: BlobStore;
  readonly inventory: BlobInventory;
  readonly inspector: BlobInspector;
  closeBlobs(): Promise<void>;
}

export interface BlobsOptions {
  /** Connections for the rows by which objects in a bucket are found; nobody else may hold one while they ask here. */
  openDatabase(): Database;
  readonly s3Checksums: boolean;
  readonly failpoint: Failpoint;
  readonly now: () => Date;
}

export async function openBlobs(
  place: { readonly kind: "fs"; readonly root: string } | ({ readonly kind: "s3" } & S3Settings),
  { openDatabase, s3Checksums, failpoint, now }: BlobsOptions,
): Promise<Blobs> {
  if (place.kind === "fs") {
    const { root } = place;
    return {
      blobs: await FsBlobStore.open(root, failpoint),
      ...{ inventory: new FsBlobInventory(root), inspector: new FsBlobInspector(root) },
      closeBlobs: async () => undefined,
    };
  }
  // Its client takes time and memory to load that an installation on a folder should not pay.
  const [{ S3BlobStore }, { S3BlobInventory }, { S3BlobInspector }, { S3Bucket }] = await Promise.all([
    import("./s3-blob-store.ts"),
    import("./s3-blob-inventory.ts"),
    import("./s3-blob-inspector.ts"),
    import("./s3-bucket.ts"),
  ]);
  const database = openDatabase();
  const s3 = { database, failpoint, now, bucket: new S3Bucket(place, { hasChecksums: s3Checksums }) };
  return {
    ...{ blobs: new S3BlobStore(s3), inventory: new S3BlobInventory(s3), inspector: new S3BlobInspector(s3) },
    closeBlobs: () => database.close(),
  };
}
