import type { BlobStore } from "./blob-store.ts";
import type { UploadStore } from "./upload-store.ts";

export interface SweepDeps {
  readonly uploads: UploadStore;
  readonly blobs: BlobStore;
  /** How long an upload lives that nobody touches. */
  readonly ttlHours: number;
}

/**
 * Removes uploads that were given up: first their rows, then their pieces, then pieces without a row (a crash leaves
 * them; one that is being written is not idle). Returns how many pieces went.
 */
export async function sweepUploads({ uploads, blobs, ttlHours }: SweepDeps): Promise<number> {
  const abandoned = await uploads.removeAbandoned(ttlHours);
  await blobs.discard(abandoned);
  const idle = await blobs.listIdleSegments(ttlHours * 3_600_000);
  const inUse = idle.length === 0 ? new Set<string>() : await uploads.findSegmentsInUse(idle);
  const orphans = idle.filter((name) => !inUse.has(name));
  await blobs.discard(orphans);
  return abandoned.length + orphans.length;
}
