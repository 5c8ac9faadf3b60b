import type { Digest, DigestAlgorithm } from "../oci/digest.ts";

/** Bytes that can be read in pieces; a piece is valid until the next one is asked for. */
export interface BlobReader {
  /** Of the whole blob, in bytes. */
  readonly size: number;
  /** The bytes from `first` to `last`, both inclusive. Throws when fewer are there. */
  chunks(first: number, last: number): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** One piece of an upload, durable once it is returned. */
export interface StoredSegment {
  /** Made by the store; safe to keep in a row. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Of this piece alone. */
  readonly digest: Digest;
}

/**
 * Content-addressed bytes, and the pieces of uploads that become such. blob-store.contract.ts is the promise every
 * backend keeps. A full disk is OciError INSUFFICIENT_STORAGE, and nothing half-written is ever read.
 */
export interface BlobStore {
  /** Undefined when there are no bytes under `digest`. */
  open(digest: Digest): Promise<BlobReader | undefined>;
  /** In bytes; undefined when there are none under `digest`. */
  findSize(digest: Digest): Promise<number | undefined>;
  /**
   * Keep `content` as a piece of an upload, hashed with `algorithm`. When `content` throws, nothing is kept. A chunk of it
   * is valid only until the next one is asked for.
   */
  writeSegment(content: AsyncIterable<Uint8Array>, algorithm: DigestAlgorithm): Promise<StoredSegment>;
  /**
   * Make the pieces, in order, the blob `expected`; returns its size in bytes once it is durable. `known` is their
   * digest where that was reached while they were written. The pieces stay until they are discarded.
   * @throws OciError DIGEST_INVALID when they hash to something else, BLOB_UPLOAD_UNKNOWN when one is gone
   */
  publish(segments: readonly string[], expected: Digest, known?: Digest): Promise<number>;
  /**
   * The same where what is under `digest` is known to be damaged, whatever its size: it is set aside. The pieces, in order,
   * are known to hash to `digest`.
   * @throws OciError BLOB_UPLOAD_UNKNOWN when one is gone
   */
  replace(segments: readonly string[], digest: Digest): Promise<void>;
  /** Remove pieces; those that are gone already are not missed. */
  discard(segments: readonly string[]): Promise<void>;
  /** Names of pieces that nobody wrote to for `ms`. */
  listIdleSegments(ms: number): Promise<string[]>;
  /** A URL by which anyone reads exactly this blob for so many seconds; undefined where the bytes cannot be had so. */
  presign(digest: Digest, seconds: number): Promise<string | undefined>;
}
