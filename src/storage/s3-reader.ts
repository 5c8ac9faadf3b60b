import { freeChunk } from "../oci/free-chunk.ts";
import { BrokenBytesError } from "./broken-bytes.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import { maxRetries, unavailable } from "./s3-calls.ts";
import { S3Inlet } from "./s3-inlet.ts";
import type { S3Object } from "./s3-objects.ts";

/** A connection that brought so much was a good one: the next failure is a first one again. */
const goodBytes = 256 * 1024;

/**
 * The bytes from `first` to `last` of a blob that lies in these objects, one after the other. A chunk is valid until the
 * next one is asked for.
 */
export async function* readObjects(
  bucket: S3Bucket,
  objects: readonly S3Object[],
  first: number,
  last: number,
): AsyncGenerator<Uint8Array> {
  let start = 0;
  for (const { key, size } of objects) {
    const [from, to] = [Math.max(first - start, 0), Math.min(last - start, size - 1)];
    if (from <= to) yield* readObject(bucket, key, from, to);
    start += size;
  }
  if (last >= start) throw new BrokenBytesError(`the blob ends ${last + 1 - start} bytes early`);
}

/** A connection that breaks or stalls is replaced where it ended: the client has half of the blob already. */
async function* readObject(bucket: S3Bucket, key: string, first: number, last: number): AsyncGenerator<Uint8Array> {
  let position = first;
  for (let failures = 0; position <= last; ) {
    const begun = position;
    const inlet = new S3Inlet(await bucket.get(key, position, last), bucket.attemptMs);
    try {
      for (let chunks = await inlet.take(); chunks.length > 0; chunks = await inlet.take()) {
        for (const chunk of chunks) {
          if (position + chunk.length > last + 1)
            throw new Error(`the S3 server sent more of ${key} than was asked for`);
          position += chunk.length;
          yield chunk;
          freeChunk(chunk);
        }
      }
      if (position <= last) throw new Error(`the S3 server broke off ${key} at byte ${position}`);
    } catch (error) {
      if (position - begun >= goodBytes) failures = 0;
      if (++failures > maxRetries) throw unavailable(error);
    } finally {
      inlet.close();
    }
  }
}
