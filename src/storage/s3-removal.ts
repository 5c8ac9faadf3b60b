import { OciError } from "../oci/error.ts";
import type { Failpoint } from "./failpoint.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import type { DoomedObject, S3Objects } from "./s3-objects.ts";

export interface RemovalParts {
  readonly bucket: S3Bucket;
  readonly objects: S3Objects;
  readonly failpoint: Failpoint;
}

/** Objects first, then their rows. When the bucket cannot be asked now, the next sweep finds the rows. */
export async function removeDoomed(parts: RemovalParts, doomed: readonly DoomedObject[]): Promise<void> {
  for (const object of doomed) {
    try {
      await removeObject(parts, object);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      continue;
    }
    await parts.objects.forget(object.key);
  }
}

async function removeObject({ bucket, failpoint }: RemovalParts, doomed: DoomedObject): Promise<void> {
  const { key, isWhole, uploadId } = doomed;
  // The one that is known is not looked up in a list, which may be stale.
  if (uploadId !== undefined) await bucket.abort({ key, uploadId });
  if (!isWhole) {
    await bucket.abortAll(key);
    await failpoint("mpu.afterAbort");
  }
  await bucket.remove(key);
  await failpoint("del.afterUnlink");
}

export function isUnavailable(error: unknown): boolean {
  return error instanceof OciError && error.code === "UNAVAILABLE";
}
