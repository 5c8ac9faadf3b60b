/** Lines in a file outside the server, each on the disk before its promise resolves; those that wait together share a sync. */
import { type FileHandle, open } from "node:fs/promises";

export class Journal {
  readonly #file: FileHandle;
  #waiting: string[] = [];
  #flush: Promise<void> | undefined;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async open(path: string): Promise<Journal> {
    return new Journal(await open(path, "wx"));
  }

  write(line: Readonly<Record<string, unknown>>): Promise<void> {
    this.#waiting.push(`${JSON.stringify({ at: Date.now(), ...line })}\n`);
    // Whoever comes while a sync is under way is in the next one.
    const before = this.#flush ?? Promise.resolve();
    if (this.#waiting.length === 1) {
      this.#flush = before.then(() => this.#sync());
    }
    return this.#flush ?? before;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #sync(): Promise<void> {
    const lines = this.#waiting;
    this.#waiting = [];
    await this.#file.appendFile(lines.join(""));
    await this.#file.datasync();
  }
}
