import type { Digest } from "../oci/digest.ts";
import type { BlobReader } from "./blob-store.ts";

export interface InspectedBlob {
  /** Bytes that are there. */
  readonly size: number;
  /** Other bytes under the same digest have another one. */
  readonly identity: string;
}

/** Something in the blob store that no row knows. */
export interface Stray {
  /** `upload`: a multipart upload that was never ended. */
  readonly kind: "object" | "upload";
  readonly name: string;
  /** Bytes; 0 of an upload. */
  readonly size: number;
}

/** What checks of integrity need of a blob store beside {@link BlobStore}. Nothing here deletes anything. */
export interface BlobInspector {
  /** Without reading it. Undefined when (a part of) it is missing. @throws Error when the store itself is not there */
  inspect(digest: Digest): Promise<InspectedBlob | undefined>;
  /** What is under `digest` is no longer found there, and kept. Returns where; undefined when there was nothing. */
  setAside(digest: Digest): Promise<string | undefined>;
  /** What {@link setAside} kept; undefined when somebody removed it. */
  openAside(name: string): Promise<BlobReader | undefined>;
  /** Under the digest again. False when there are bytes already, or what was kept is gone. */
  putBack(name: string, digest: Digest): Promise<boolean>;
  /** Whether it became the blob more than an hour ago, so that no push can be about to write its row. */
  isSettled(digest: Digest): Promise<boolean>;
  listStrays(): AsyncIterable<Stray>;
}
