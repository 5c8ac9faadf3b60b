import type { Readable } from "node:stream";
import type { S3Bucket } from "./s3-bucket.ts";
import { maxRetries, unavailable } from "./s3-calls.ts";
import type { S3Object } from "./s3-objects.ts";

/** So much has to come within the time of one attempt, or the rest is asked for anew. */
const stepBytes = 256 * 1024;

/** The bytes from `first` to `last` of a blob that lies in these objects, one after the other. */
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
  if (last >= start) throw new Error(`the blob ends ${last + 1 - start} bytes early`);
}

/** A connection that breaks or stalls is replaced where it ended: the client has half of the blob already. */
async function* readObject(bucket: S3Bucket, key: string, first: number, last: number): AsyncGenerator<Uint8Array> {
  let position = first;
  for (let failures = 0; position <= last; ) {
    const body = await bucket.get(key, position, last);
    const before = position;
    try {
      for await (const chunk of steady(body, bucket.attemptMs)) {
        position += chunk.length;
        if (position > last + 1) throw new Error(`the S3 server sent more of ${key} than it was asked for`);
        yield chunk;
      }
      if (position <= last) throw new Error(`the S3 server broke off ${key} at byte ${position}`);
    } catch (error) {
      if (position > before + stepBytes) failures = 0;
      if (++failures > maxRetries || position > last + 1) throw unavailable(error);
    } finally {
      body.destroy();
    }
  }
}

/** Passes the stream on; it fails when it brings less than a step in `ms`, not counting the time the reader takes. */
async function* steady(body: Readable, ms: number): AsyncGenerator<Uint8Array> {
  let left = ms;
  let bytes = 0;
  let late: NodeJS.Timeout | undefined;
  const chunks = body.iterator();
  try {
    for (;;) {
      const began = performance.now();
      late = setTimeout(() => body.destroy(new Error(`the S3 server sent ${bytes} bytes in ${ms} ms`)), left);
      const { done, value } = await chunks.next();
      clearTimeout(late);
      if (done) return;
      left -= performance.now() - began;
      bytes += value.length;
      if (bytes >= stepBytes) [left, bytes] = [ms, 0];
      yield value;
    }
  } finally {
    clearTimeout(late);
  }
}
