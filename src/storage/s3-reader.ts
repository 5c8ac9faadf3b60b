import type { Readable } from "node:stream";
import type { S3Bucket } from "./s3-bucket.ts";
import { maxRetries, unavailable } from "./s3-calls.ts";
import type { S3Object } from "./s3-objects.ts";

/** Bytes that are sent on at once. So much has to come within the time of one attempt, or the rest is asked for anew. */
const blockBytes = 256 * 1024;
/** Blocks kept for the next reader; what more there are is for a crowd, and goes with it. */
const maxPooled = 16;
const pool: Buffer[] = [];

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
    try {
      for await (const block of readBlocks(body, bucket.attemptMs)) {
        if (position + block.length > last + 1) throw new Error(`the S3 server sent more of ${key} than was asked for`);
        position += block.length;
        if (block.length === blockBytes) failures = 0;
        yield block;
      }
      if (position <= last) throw new Error(`the S3 server broke off ${key} at byte ${position}`);
    } catch (error) {
      if (++failures > maxRetries) throw unavailable(error);
    } finally {
      body.destroy();
    }
  }
}

/**
 * The stream in two blocks by turns: the next one fills while the last one is sent. Each has `ms` to fill. A block is
 * valid until the next one is asked for.
 */
async function* readBlocks(body: Readable, ms: number): AsyncGenerator<Uint8Array> {
  // One that breaks while a block is sent says so when it is read again.
  body.on("error", () => undefined);
  const blocks = [take(), take()];
  let pending: Promise<number> | undefined;
  try {
    pending = fill(body, blocks[0] as Buffer, ms);
    for (let turn = 0; ; turn++) {
      const size = await pending;
      pending = undefined;
      if (size === 0) return;
      const next = fill(body, blocks[(turn + 1) % 2] as Buffer, ms);
      next.catch(() => undefined);
      pending = next;
      yield (blocks[turn % 2] as Buffer).subarray(0, size);
    }
  } finally {
    body.destroy();
    await pending?.catch(() => undefined);
    for (const block of blocks) if (pool.length < maxPooled) pool.push(block);
  }
}

function take(): Buffer {
  return pool.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
}

/** Returns how many bytes came: a whole block, or less at the end. What came before a failure is not lost. */
async function fill(body: Readable, block: Buffer, ms: number): Promise<number> {
  const late = setTimeout(() => body.destroy(new Error(`less than ${blockBytes} bytes came in ${ms} ms`)), ms);
  let filled = 0;
  try {
    while (filled < block.length) {
      const chunk: Buffer | null = body.read();
      if (chunk !== null) {
        const size = chunk.copy(block, filled);
        if (size < chunk.length) body.unshift(chunk.subarray(size));
        filled += size;
      } else if (body.readableEnded) break;
      else await moreOf(body);
    }
    return filled;
  } catch (error) {
    if (filled > 0) return filled;
    throw error;
  } finally {
    clearTimeout(late);
  }
}

/** Resolves when there is something to read, or nothing more. */
function moreOf(body: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      body.off("readable", onReadable).off("end", onReadable).off("error", settle).off("close", onClose);
      if (error) reject(error);
      else resolve();
    };
    const onReadable = (): void => settle();
    const onClose = (): void => settle(body.readableEnded ? undefined : new Error("the connection broke off"));
    body.on("readable", onReadable).on("end", onReadable).on("error", settle).on("close", onClose);
    if (body.destroyed) onClose();
  });
}
