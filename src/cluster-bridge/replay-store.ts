import { type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { findFile, writeDurably } from "./durable-file.ts";
import { BridgeError } from "./errors.ts";

const LINE = /^(\d{1,15}) (\S{1,200})$/;
/** So much longer than it is good: a clock may be stepped back, and then what has expired is good again. */
const KEPT_MS = 600_000;
/** Lines that are no longer needed are left until there are so many. */
const MAX_DEAD_LINES = 10_000;

/**
 * Which orders were taken, until they expired ten minutes ago: on disk before one is carried out, so that a bridge that was killed does not
 * take it again. One line each, `<expires, ms> <nonce>`.
 */
export class ReplayStore {
  readonly #path: string;
  readonly #taken: Map<string, number>;
  #file: FileHandle;
  #lines: number;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, taken: Map<string, number>, file: FileHandle) {
    this.#path = path;
    this.#taken = taken;
    this.#file = file;
    this.#lines = taken.size;
  }

  /** @throws BridgeError STORE */
  static async open(store: string): Promise<ReplayStore> {
    const path = join(store, "nonces");
    await mkdir(store, { recursive: true, mode: 0o700 });
    const taken = parse((await findFile(path))?.toString() ?? "", path);
    // Also ends the half line of a process that was killed while it wrote.
    await writeDurably(path, toBytes(taken));
    return new ReplayStore(path, taken, await open(path, "a", 0o600));
  }

  /** Whether this is the first time; resolves when it is on disk. */
  async take(nonce: string, expiresAt: Date, now: Date): Promise<boolean> {
    if (this.#taken.has(nonce)) return false;
    this.#taken.set(nonce, expiresAt.getTime());
    this.#writing = this.#writing.then(() => this.#append(`${expiresAt.getTime()} ${nonce}\n`, now));
    await this.#writing;
    return true;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  async #append(line: string, now: Date): Promise<void> {
    await this.#file.appendFile(line);
    await this.#file.datasync();
    this.#lines++;
    for (const [nonce, expiresMs] of this.#taken) if (expiresMs + KEPT_MS < now.getTime()) this.#taken.delete(nonce);
    if (this.#lines - this.#taken.size > MAX_DEAD_LINES) await this.#compact();
  }

  async #compact(): Promise<void> {
    await writeDurably(this.#path, toBytes(this.#taken));
    await this.#file.close();
    this.#file = await open(this.#path, "a", 0o600);
    this.#lines = this.#taken.size;
  }
}

function parse(text: string, path: string): Map<string, number> {
  const lines = text.split("\n");
  // What stands after the last line's end was never taken: its order was not carried out.
  lines.pop();
  return new Map(
    lines.map((line) => {
      const [, expires, nonce] = LINE.exec(line) ?? [];
      if (nonce === undefined) throw new BridgeError("STORE", `${path} has a line that is none: ${line.slice(0, 100)}`);
      return [nonce, Number(expires)];
    }),
  );
}

const toBytes = (taken: ReadonlyMap<string, number>): Buffer =>
  Buffer.from([...taken].map(([nonce, expiresMs]) => `${expiresMs} ${nonce}\n`).join(""));
