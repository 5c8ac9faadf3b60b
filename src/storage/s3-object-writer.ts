import { randomBytes } from "node:crypto";
import { ByteBudget } from "../oci/byte-budget.ts";
import { OciError } from "../oci/error.ts";
import type { Failpoint } from "./failpoint.ts";
import type { S3Bucket } from "./s3-bucket.ts";
import { unavailable } from "./s3-calls.ts";
import type { S3Objects } from "./s3-objects.ts";

const kib = 1024;
const mib = 1024 * kib;

/** What small blobs need, and all that a stream holds until it has sent this much. */
const firstBytes = 256 * kib;
/** Memory for parts, of one process; who finds none waits in line. */
const maxPartMemory = 64 * mib;
const maxWaitMs = 30_000;
/** Parts of one object that are on their way while the next one gathers. */
const maxSending = 4;
const maxParts = 10_000;
const maxBegins = 4;

/**
 * Bytes of part `number`. They grow, so that 10,000 of them are 172 GiB: the most that one request can bring. (S3 takes
 * parts from 5 MiB, and of different sizes.)
 */
export function partBytes(number: number): number {
  return (number <= 4_000 ? 8 : number <= 7_000 ? 16 : 32) * mib;
}

export interface WriterParts {
  readonly bucket: S3Bucket;
  readonly objects: S3Objects;
  readonly memory: PartMemory;
  readonly failpoint: Failpoint;
  readonly partBytes: (number: number) => number;
}

/** Buffers for parts: at most so many bytes at once, and used again. */
export class PartMemory {
  readonly #budget = new ByteBudget(maxPartMemory);
  readonly #spare: Buffer[] = [];

  /** @throws OciError UNAVAILABLE when there is none for too long */
  async take(bytes: number): Promise<{ readonly buffer: Buffer; give(): void }> {
    const giveBack = await this.#reserve(bytes);
    const buffer = (bytes === partBytes(1) ? this.#spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
    return {
      buffer,
      give: () => {
        if (bytes === partBytes(1)) this.#spare.push(buffer);
        giveBack();
      },
    };
  }

  async #reserve(bytes: number): Promise<() => void> {
    const place = this.#budget.reserve(bytes);
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), maxWaitMs);
    const giveBack = await Promise.race([place, late.promise]).finally(() => clearTimeout(timer));
    if (giveBack !== undefined) return giveBack;
    void place.then((giveUp) => giveUp());
    throw unavailable(new Error(`no memory for a part within ${maxWaitMs} ms: too many slow uploads at once`));
  }
}

interface Block {
  readonly buffer: Buffer;
  give(): void;
}

/**
 * Writes one object: in a single request when it fits into one part, else as a multipart upload, whose parts are sent
 * while the next one gathers. The rows of `objects` say how far it is.
 */
export class S3ObjectWriter {
  #key: string;
  readonly #parts: WriterParts;
  readonly #sending = new Set<Promise<void>>();
  #block: Block = { buffer: Buffer.allocUnsafeSlow(firstBytes), give: () => undefined };
  #filled = 0;
  #size = 0;
  #number = 0;
  #uploadId: string | undefined;
  #failure: unknown;

  private constructor(key: string, parts: WriterParts) {
    this.#key = key;
    this.#parts = parts;
  }

  static async create(parts: WriterParts): Promise<S3ObjectWriter> {
    return new S3ObjectWriter(await newKey(parts.objects), parts);
  }

  /** Where it is written: final once {@link finish} resolves. */
  get key(): string {
    return this.#key;
  }

  /** Bytes taken so far. */
  get size(): number {
    return this.#size;
  }

  /** The chunk is the caller's again when this resolves. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let taken = 0; taken < chunk.length; ) {
      if (this.#filled === this.#block.buffer.length) await this.#makeRoom();
      const piece = chunk.subarray(taken, taken + this.#block.buffer.length - this.#filled);
      this.#block.buffer.set(piece, this.#filled);
      taken += piece.length;
      this.#filled += piece.length;
      this.#size += piece.length;
    }
  }

  /** The object is whole and its row says so when this resolves. */
  async finish(): Promise<void> {
    const { bucket, objects, failpoint } = this.#parts;
    if (this.#uploadId === undefined) {
      await bucket.put(this.#key, this.#gathered());
    } else {
      if (this.#filled > 0) await this.#ship();
      await this.#settle();
      await failpoint("mpu.beforeComplete");
      const upload = { key: this.#key, uploadId: this.#uploadId };
      await bucket.complete(upload, await objects.findParts(this.#key), this.#size);
      await failpoint("mpu.afterComplete");
    }
    if (!(await objects.setWhole(this.#key, this.#size))) throw new OciError("BLOB_UPLOAD_UNKNOWN");
  }

  /** Nothing is on its way any more when this resolves, and no memory is held. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#sending);
    this.#block.give();
    this.#block = { buffer: Buffer.alloc(0), give: () => undefined };
  }

  #gathered(): Buffer {
    return this.#block.buffer.subarray(0, this.#filled);
  }

  /** The first block grows to a whole part; a part that is full is sent. */
  async #makeRoom(): Promise<void> {
    const { memory, partBytes } = this.#parts;
    const isFull = this.#filled >= partBytes(this.#number + 1);
    if (isFull) await this.#ship();
    const next = await memory.take(partBytes(this.#number + 1));
    if (!isFull) next.buffer.set(this.#gathered());
    else this.#filled = 0;
    this.#block.give();
    this.#block = next;
  }

  /** Begins to send what is gathered; the block is the sender's from here on. */
  async #ship(): Promise<void> {
    if (this.#number === maxParts)
      throw new OciError("SIZE_INVALID", { message: "one request brings 172 GiB at most" });
    this.#uploadId ??= await this.#begin();
    while (this.#sending.size >= maxSending) await Promise.race(this.#sending);
    if (this.#failure !== undefined) throw this.#failure;
    const block = this.#block;
    const part = { number: ++this.#number, bytes: this.#gathered() };
    this.#block = { buffer: Buffer.alloc(0), give: () => undefined };
    const sent: Promise<void> = this.#send(this.#uploadId, part)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        block.give();
        this.#sending.delete(sent);
      });
    this.#sending.add(sent);
  }

  /**
   * Where a first answer was lost there may be an upload that nobody knows by its id. Its key is given up with it: the
   * sweep ends whatever is under a key that came to nothing.
   */
  async #begin(): Promise<string> {
    const { bucket, objects } = this.#parts;
    for (let attempt = 1; attempt <= maxBegins; attempt++) {
      const { uploadId, isOnly } = await bucket.begin(this.#key);
      if (isOnly) {
        await objects.setUpload(this.#key, uploadId);
        return uploadId;
      }
      await objects.doom([this.#key]);
      this.#key = await newKey(objects);
    }
    throw unavailable(new Error(`${maxBegins} uploads were begun, and each time an answer was lost`));
  }

  async #send(uploadId: string, part: { number: number; bytes: Uint8Array }): Promise<void> {
    const sent = await this.#parts.bucket.putPart({ key: this.#key, uploadId }, part);
    if (!(await this.#parts.objects.addPart(this.#key, sent))) throw new OciError("BLOB_UPLOAD_UNKNOWN");
    await this.#parts.failpoint("mpu.afterPart");
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#sending);
    if (this.#failure !== undefined) throw this.#failure;
  }
}

async function newKey(objects: S3Objects): Promise<string> {
  const key = randomBytes(16).toString("hex");
  await objects.begin(key);
  return key;
}
