import type { FileHandle } from "node:fs/promises";
import { BrokenBytesError } from "./broken-bytes.ts";

const largeBytes = 1024 * 1024;
const maxPooled = 16;
const pool: Buffer[] = [];
/** So many readers at once have large buffers; the others small ones, since clients may pause and hold theirs. */
const maxLarge = 64;
const smallBytes = 64 * 1024;
let readers = 0;

/**
 * The bytes from `first` to `last` of a file, in two buffers by turns: the next piece is read while the last one is
 * sent. A piece is valid until the next one is asked for. Throws when the file ends early.
 */
export async function* readChunks(handle: FileHandle, first: number, last: number): AsyncGenerator<Uint8Array> {
  if (last < first) return;
  const length = last - first + 1;
  const pieceBytes = Math.min(length, readers < maxLarge ? largeBytes : smallBytes);
  readers++;
  const buffers = length > pieceBytes ? [take(pieceBytes), take(pieceBytes)] : [take(pieceBytes)];
  let pending: Promise<Uint8Array> | undefined;
  try {
    let position = first;
    let turn = 0;
    const start = (): Promise<Uint8Array> | undefined => {
      const size = Math.min(pieceBytes, last + 1 - position);
      if (size <= 0) return undefined;
      const read = readFully(handle, buffers[turn++ % buffers.length] as Buffer, position, size);
      read.catch(() => undefined);
      position += size;
      return read;
    };
    pending = start();
    while (pending !== undefined) {
      const chunk: Uint8Array = await pending;
      pending = start();
      yield chunk;
    }
  } finally {
    await pending?.catch(() => undefined);
    give(buffers);
    readers--;
  }
}

async function readFully(handle: FileHandle, buffer: Buffer, position: number, size: number): Promise<Uint8Array> {
  let done = 0;
  while (done < size) {
    const { bytesRead } = await handle.read(buffer, done, size - done, position + done);
    if (bytesRead === 0) throw new BrokenBytesError(`file ends ${size - done} bytes early`);
    done += bytesRead;
  }
  return buffer.subarray(0, size);
}

function take(bytes: number): Buffer {
  return (bytes === largeBytes ? pool.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
}

function give(buffers: readonly Buffer[]): void {
  for (const buffer of buffers) if (buffer.length === largeBytes && pool.length < maxPooled) pool.push(buffer);
}
