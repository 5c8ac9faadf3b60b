import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { algorithmOf, type Digest, type DigestAlgorithm, hexOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";

/** Where the filesystem store keeps what; see {@link FsBlobStore}. */

export const ALGORITHMS: readonly DigestAlgorithm[] = ["sha256", "sha512"];
export const SEGMENT = /^[0-9a-f]{32}$/;

export function newSegmentName(): string {
  return randomBytes(16).toString("hex");
}

export function segmentPath(root: string, name: string): string {
  // Names come from rows: one that this store did not make must not become a path.
  if (!SEGMENT.test(name)) throw new OciError("BLOB_UPLOAD_INVALID", { detail: { segment: name } });
  return join(root, "uploads", name);
}

export function blobPath(root: string, digest: Digest): string {
  const hex = hexOf(digest);
  return join(root, "blobs", algorithmOf(digest), hex.slice(0, 2), hex);
}
