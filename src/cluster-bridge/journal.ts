import { type FileHandle, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { isJsonObject, type JsonObject, parseJson } from "../oci/json.ts";
import { findFile, syncFolder } from "./durable-file.ts";
import { BridgeError } from "./errors.ts";

/** One thing the bridge means to do, or has done; `event` says which. */
export interface JournalRecord {
  readonly [name: string]: unknown;
  readonly event: string;
}

/**
 * What the bridge did, one line of JSON each, never changed and never shortened. A record is on disk when `append` resolves:
 * what is about to be done stands there before it is done.
 * @see hardening part 4, "What an acknowledgement means": bridge "deployed"
 */
export class Journal {
  readonly #file: FileHandle;
  readonly #now: () => Date;
  readonly #records: JsonObject[];
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle, records: JsonObject[], now: () => Date) {
    this.#file = file;
    this.#records = records;
    this.#now = now;
  }

  /** @throws BridgeError STORE */
  static async open(store: string, now: () => Date): Promise<Journal> {
    const path = join(store, "journal");
    await mkdir(store, { recursive: true, mode: 0o700 });
    const bytes = (await findFile(path)) ?? Buffer.alloc(0);
    const records = readLines(bytes, path);
    const file = await open(path, "a", 0o600);
    // The half line of a process that was killed: what it would have said was not done yet.
    await file.truncate(bytes.lastIndexOf(0x0a) + 1);
    await file.sync();
    await syncFolder(store);
    return new Journal(file, records, now);
  }

  /** Oldest first. */
  get records(): readonly JsonObject[] {
    return this.#records;
  }

  async append(record: JournalRecord): Promise<void> {
    const line = Buffer.from(`${JSON.stringify({ at: this.#now().toISOString(), ...record })}\n`);
    // One failed write fails all that come after it: what is not on record is not done.
    this.#writing = this.#writing.then(() => this.#write(line));
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#file.close();
  }

  async #write(line: Buffer): Promise<void> {
    await this.#file.appendFile(line);
    await this.#file.datasync();
    this.#records.push(toRecord(line));
  }
}

function readLines(bytes: Buffer, path: string): JsonObject[] {
  const records: JsonObject[] = [];
  // Line by line: the longest string is shorter than a journal may be.
  for (let [begin, end] = [0, bytes.indexOf(0x0a)]; end >= 0; [begin, end] = [end + 1, bytes.indexOf(0x0a, end + 1)])
    try {
      records.push(toRecord(bytes.subarray(begin, end)));
    } catch (cause) {
      throw new BridgeError("STORE", `${path}: line ${records.length + 1} cannot be read`, { cause });
    }
  return records;
}

function toRecord(line: Buffer): JsonObject {
  const value = parseJson(line);
  if (!isJsonObject(value)) throw new Error("no object");
  return value;
}
