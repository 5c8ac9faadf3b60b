import { type FileHandle, open } from "node:fs/promises";

/** Bytes gathered before one write. */
const blockBytes = 1024 * 1024;
/** Tiny chunks weigh far more than their bytes, so they are not gathered without end. */
const blockChunks = 1024;
/** The kernel is asked to write back every so many bytes, so that the last sync has little left to do. */
const writeBackBytes = 32 * 1024 * 1024;

/** Appends to a new file; one write is under way while the next block gathers. */
export class FileWriter {
  readonly #handle: FileHandle;
  #block: Uint8Array[] = [];
  #blockSize = 0;
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

  /** Takes `chunk` over: it is written later, so whoever gave it must not change it any more. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#block.push(chunk);
    this.#blockSize += chunk.length;
    this.#size += chunk.length;
    if (this.#blockSize >= blockBytes || this.#block.length >= blockChunks) await this.#flush();
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
    await Promise.allSettled([this.#writing, this.#writeBack]);
    await this.#handle.close();
  }

  /** Waits for the write before, then starts this one. */
  async #flush(): Promise<void> {
    const block = this.#block;
    if (block.length === 0) return;
    await this.#writing;
    this.#writing = this.#append(block, this.#blockSize);
    this.#writing.catch(() => undefined);
    this.#block = [];
    this.#blockSize = 0;
  }

  async #append(block: readonly Uint8Array[], bytes: number): Promise<void> {
    let left = block;
    let missing = bytes;
    while (missing > 0) {
      const { bytesWritten } = await this.#handle.writev(left as Uint8Array[]);
      missing -= bytesWritten;
      if (missing > 0) left = [Buffer.concat(left as Uint8Array[]).subarray(bytesWritten)];
    }
    this.#unsynced += bytes;
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
