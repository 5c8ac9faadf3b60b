import type { Digest } from "../oci/digest.ts";

export interface StoredBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Bytes that are no longer found under their digest; one of the two must follow. */
export interface WithdrawnBlob {
  /** They are never wanted again. */
  discard(): Promise<void>;
  /** Back under the digest, unless somebody put the same bytes there since. */
  restore(): Promise<void>;
}

/** What the collector needs of a blob store beside {@link BlobStore}; nobody else deletes blobs. */
export interface BlobInventory {
  /** Every blob that was there all the time while this runs, in no order. */
  list(): AsyncIterable<StoredBlob>;
  /** Undefined when there are no bytes under `digest`. */
  withdraw(digest: Digest): Promise<WithdrawnBlob | undefined>;
  /** The number last kept by {@link writeMark}; 0 for none. */
  readMark(): Promise<number>;
  writeMark(runs: number): Promise<void>;
}
