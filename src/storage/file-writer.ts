import { type FileHandle, open } from "node:fs/promises";

/** Bytes gathered before one write. */
const blockBytes = 512 * 1024;
/** Blocks kept for the next file; what more there are is for a crowd, and goes with it. */
const maxPooled = 32;
const pool: Buffer[] = [];
/** The kernel is asked to write back every so many bytes, so that the last sync has little left to do. */
const writeBackBytes = 32 * 1024 * 1024;

/**
 * Appends to a new file; one write is under way while the next block gathers. Chunks are copied into two blocks used by
 * turns: thousands of small buffers that live until they are on the disk cost more, in garbage collection and memory.
 */
export class FileWriter {
  readonly #handle: FileHandle;
  #block: Buffer | undefined;
  #spare: Buffer | undefined;
  #filled = 0;
  #size = 0;
  #unsynced = 0;
  #writing: Promise<void> = Promise.resolve();
  #writeBack: Promise<void> | undefined;
  /** A failed sync may have dropped the bytes it was asked to keep: the file is not to be trusted any more. */
  #poison: unknown;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  static async create(path: string): Promise<FileWriter> {
    return new FileWriter(await open(path, "wx", 0o600));
  }

  /** Bytes taken so far. */
  get size(): number {
    return this.#size;
  }

  /** The chunk is the caller's again when this resolves. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let taken = 0; taken < chunk.length; ) {
      this.#block ??= takeBlock();
      const part = chunk.subarray(taken, taken + blockBytes - this.#filled);
      this.#block.set(part, this.#filled);
      taken += part.length;
      this.#filled += part.length;
      this.#size += part.length;
      if (this.#filled === blockBytes) await this.#flush();
    }
  }

  /** Everything written is on the disk when this resolves. */
  async sync(): Promise<void> {
    await this.#flush();
    await this.#writing;
    await this.#writeBack;
    if (this.#poison !== undefined) throw this.#poison;
    await this.#handle.datasync();
  }

  async close(): Promise<void> {
    // A block that is still being written must not become another file's.
    await Promise.allSettled([this.#writing, this.#writeBack]);
    giveBlock(this.#block);
    giveBlock(this.#spare);
    this.#block = undefined;
    this.#spare = undefined;
    await this.#handle.close();
  }

  /** Waits for the write before, whose block is then free to gather, and starts this one. */
  async #flush(): Promise<void> {
    const block = this.#block;
    if (block === undefined || this.#filled === 0) return;
    await this.#writing;
    this.#writing = this.#append(block.subarray(0, this.#filled));
    this.#writing.catch(() => undefined);
    this.#block = this.#spare;
    this.#spare = block;
    this.#filled = 0;
  }

  async #append(block: Uint8Array): Promise<void> {
    for (let written = 0; written < block.length; ) {
      const { bytesWritten } = await this.#handle.write(block, written);
      written += bytesWritten;
    }
    this.#unsynced += block.length;
    if (this.#unsynced >= writeBackBytes && this.#writeBack === undefined) this.#startWriteBack();
  }

  #startWriteBack(): void {
    this.#unsynced = 0;
    this.#writeBack = this.#handle
      .datasync()
      .catch((error: unknown) => {
        this.#poison = error;
      })
      .finally(() => {
        this.#writeBack = undefined;
      });
  }
}

function takeBlock(): Buffer {
  return pool.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
}

function giveBlock(block: Buffer | undefined): void {
  if (block !== undefined && pool.length < maxPooled) pool.push(block);
}
