import { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { nameOf, S3Calls, statusOf, UnclearAnswerError } from "./s3-calls.ts";
import { openS3Client, type S3Settings } from "./s3-client.ts";
import type { S3Part } from "./s3-objects.ts";

const mib = 1024 * 1024;
/** What comes after `<prefix>/<two digits>/` in the names of pieces; other objects are not of blobs. */
const PIECE = /^[0-9a-f]{32}$/;

/** A multipart upload under way. */
export interface Upload {
  readonly key: string;
  readonly uploadId: string;
}

export interface PartBytes {
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** The few things that Goldseal asks of S3, each with its deadline and retries. Throws OciError UNAVAILABLE. */
export class S3Bucket {
  readonly #client: S3Client;
  readonly #settings: S3Settings;
  readonly #hasChecksums: boolean;
  readonly #calls = new S3Calls();

  /** `hasChecksums`: the server keeps the CRC-32 of what it is sent, and refuses bytes that do not have it. */
  constructor(settings: S3Settings, { hasChecksums }: { readonly hasChecksums: boolean }) {
    this.#client = openS3Client(settings);
    this.#settings = settings;
    this.#hasChecksums = hasChecksums;
  }

  get attemptMs(): number {
    return this.#settings.timeoutSeconds * 1000;
  }

  /** One object in one request. */
  async put(key: string, bytes: Uint8Array): Promise<void> {
    const input = { ...this.#place(key), Body: bytes, ...this.#checksum(bytes) };
    await this.#calls.call(this.#toSend(bytes), async (abortSignal) => {
      const { ETag } = await this.#client.send(new PutObjectCommand(input), { abortSignal });
      if (ETag === undefined) throw new UnclearAnswerError("no ETag for an object");
    });
  }

  /** Whether the server holds bytes against the checksum they came with: it must not take these. */
  async refusesWrongChecksum(key: string): Promise<boolean> {
    const input = { ...this.#place(`${key}-checksum`), Body: Buffer.from("probe"), ChecksumCRC32: toBase64(0) };
    try {
      await this.#client.send(new PutObjectCommand(input), { abortSignal: AbortSignal.timeout(this.attemptMs) });
    } catch (error) {
      // One that does not know the header at all refuses it too, but in other words.
      return nameOf(error) === "BadDigest" || nameOf(error) === "XAmzContentChecksumMismatch";
    }
    await this.remove(`${key}-checksum`);
    return false;
  }

  /** `isOnly`: it was asked for once, so there is no other upload under this key. */
  async begin(key: string): Promise<{ readonly uploadId: string; readonly isOnly: boolean }> {
    const algorithm = this.#hasChecksums ? ({ ChecksumAlgorithm: "CRC32" } as const) : {};
    let attempts = 0;
    const uploadId = await this.#calls.call(this, async (abortSignal) => {
      attempts++;
      const command = new CreateMultipartUploadCommand({ ...this.#place(key), ...algorithm });
      const { UploadId } = await this.#client.send(command, { abortSignal });
      if (!UploadId) throw new UnclearAnswerError("no id for an upload");
      return UploadId;
    });
    return { uploadId, isOnly: attempts === 1 };
  }

  async putPart({ key, uploadId }: Upload, { number, bytes }: PartBytes): Promise<S3Part> {
    const checksum = this.#checksum(bytes);
    const input = { ...this.#place(key), UploadId: uploadId, PartNumber: number, Body: bytes, ...checksum };
    return this.#calls.call(this.#toSend(bytes), async (abortSignal) => {
      const { ETag } = await this.#client.send(new UploadPartCommand(input), { abortSignal });
      if (!ETag) throw new UnclearAnswerError("no ETag for a part");
      return { number, etag: ETag, checksum: checksum.ChecksumCRC32 };
    });
  }

  /** Joins the parts. An answer that was lost, or that is an error, is held against what the server has then. */
  async complete(upload: Upload, parts: readonly S3Part[], size: number): Promise<void> {
    const command = (): CompleteMultipartUploadCommand =>
      new CompleteMultipartUploadCommand({
        ...this.#place(upload.key),
        UploadId: upload.uploadId,
        MultipartUpload: { Parts: parts.map(toWire) },
      });
    // The server may have to read all of it: MinIO and the like answer large ones late.
    const limits = { attemptMs: this.attemptMs + (size / (64 * mib)) * 1000 };
    await this.#calls.call(limits, async (abortSignal) => {
      try {
        const { ETag } = await this.#client.send(command(), { abortSignal });
        if (!ETag) throw new UnclearAnswerError("no ETag for a completed upload");
      } catch (error) {
        if (!(await this.#hasCompleted(upload.key, parts, size))) throw error;
      }
    });
  }

  /** Size in bytes, undefined when there is no such object. */
  async findSize(key: string): Promise<number | undefined> {
    return (await this.#calls.call(this, (signal) => this.#head(key, signal)))?.size;
  }

  /** The bytes from `first` to `last`, both inclusive. */
  async get(key: string, first: number, last: number): Promise<Readable> {
    const input = { ...this.#place(key), Range: `bytes=${first}-${last}` };
    return this.#calls.call(this, async (abortSignal) => {
      const { Body, ContentRange } = await this.#client.send(new GetObjectCommand(input), { abortSignal });
      if (!(Body instanceof Readable)) throw new UnclearAnswerError("an object without bytes");
      if (ContentRange?.startsWith(`bytes ${first}-${last}/`)) return Body;
      Body.destroy();
      throw new UnclearAnswerError(`other bytes than were asked for: ${ContentRange}`);
    });
  }

  async remove(key: string): Promise<void> {
    await this.#calls.call(this, (abortSignal) =>
      this.#client.send(new DeleteObjectCommand(this.#place(key)), { abortSignal }),
    );
  }

  /**
   * Ends every upload under exactly this key. They are listed: one whose id was lost with its process is found, and
   * one that a stale list leaves out is only looked for again. Returns how many there were.
   */
  async abortAll(key: string): Promise<number> {
    const { Bucket, Key } = this.#place(key);
    const uploads = await this.#calls.call(this, async (abortSignal) => {
      const command = new ListMultipartUploadsCommand({ Bucket, Prefix: Key });
      const { Uploads = [] } = await this.#client.send(command, { abortSignal });
      return Uploads.filter((upload) => upload.Key === Key);
    });
    for (const { UploadId } of uploads) if (UploadId !== undefined) await this.abort({ key, uploadId: UploadId });
    return uploads.length;
  }

  /** All objects that are named as pieces are, page by page. Needs the right to list the bucket, which nothing else does. */
  async *list(): AsyncGenerator<string[]> {
    for (let token: string | undefined; ; ) {
      const input = { ...this.#everything(), ...(token === undefined ? {} : { ContinuationToken: token }) };
      const page = await this.#calls.call(this, (abortSignal) =>
        this.#client.send(new ListObjectsV2Command(input), { abortSignal }),
      );
      yield this.#toKeys(page.Contents ?? []);
      token = page.NextContinuationToken;
      if (page.IsTruncated !== true || token === undefined) return;
    }
  }

  /** Keys of multipart uploads that were not ended. MinIO lists none, since it wants a whole key. */
  async listUploads(): Promise<string[]> {
    const keys = new Set<string>();
    for (let marker = {}; ; ) {
      const input = { ...this.#everything(), ...marker };
      const page = await this.#calls.call(this, (abortSignal) =>
        this.#client.send(new ListMultipartUploadsCommand(input), { abortSignal }),
      );
      for (const key of this.#toKeys(page.Uploads ?? [])) keys.add(key);
      const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
      if (page.IsTruncated !== true || !KeyMarker) return [...keys];
      marker = { KeyMarker, ...(UploadIdMarker ? { UploadIdMarker } : {}) };
    }
  }

  async abort({ key, uploadId }: Upload): Promise<void> {
    await this.#calls.call(this, async (abortSignal) => {
      const command = new AbortMultipartUploadCommand({ ...this.#place(key), UploadId: uploadId });
      await this.#client.send(command, { abortSignal }).catch((error: unknown) => {
        if (nameOf(error) !== "NoSuchUpload" && statusOf(error) !== 404) throw error;
      });
    });
  }

  /** A URL by which anyone can read this one object until it expires. */
  async presign(key: string, { seconds, now }: { readonly seconds: number; readonly now: Date }): Promise<string> {
    const input = { ...this.#place(key), ResponseContentType: "application/octet-stream" };
    return getSignedUrl(this.#client, new GetObjectCommand(input), { expiresIn: seconds, signingDate: now });
  }

  close(): void {
    this.#client.destroy();
  }

  async #hasCompleted(key: string, parts: readonly S3Part[], size: number): Promise<boolean> {
    const found = await this.#head(key, AbortSignal.timeout(this.attemptMs)).catch(() => undefined);
    if (found?.size !== size) return false;
    return found.checksum === undefined || found.checksum === jointChecksum(parts);
  }

  async #head(key: string, abortSignal: AbortSignal): Promise<{ size: number; checksum?: string } | undefined> {
    const mode = this.#hasChecksums ? ({ ChecksumMode: "ENABLED" } as const) : {};
    try {
      const command = new HeadObjectCommand({ ...this.#place(key), ...mode });
      const { ContentLength, ChecksumCRC32 } = await this.#client.send(command, { abortSignal });
      if (ContentLength === undefined) throw new UnclearAnswerError("no length for an object");
      return { size: ContentLength, ...(ChecksumCRC32 === undefined ? {} : { checksum: ChecksumCRC32 }) };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  #place(key: string): { Bucket: string; Key: string } {
    const { bucket, prefix } = this.#settings;
    return { Bucket: bucket, Key: [...(prefix === "" ? [] : [prefix]), key.slice(0, 2), key].join("/") };
  }

  #everything(): { Bucket: string; Prefix?: string } {
    const { bucket, prefix } = this.#settings;
    return prefix === "" ? { Bucket: bucket } : { Bucket: bucket, Prefix: `${prefix}/` };
  }

  #toKeys(found: readonly { readonly Key?: string | undefined }[]): string[] {
    const names = found.map(({ Key = "" }) => ({ Key, key: Key.slice(Key.lastIndexOf("/") + 1) }));
    return names.filter(({ Key, key }) => PIECE.test(key) && this.#place(key).Key === Key).map(({ key }) => key);
  }

  #checksum(bytes: Uint8Array): { ChecksumCRC32?: string } {
    return this.#hasChecksums ? { ChecksumCRC32: toBase64(crc32(bytes)) } : {};
  }

  #toSend(bytes: Uint8Array): { attemptMs: number } {
    return { attemptMs: this.attemptMs + (bytes.length / (8 * mib)) * 1000 };
  }
}

function toWire({ number, etag, checksum }: S3Part): { PartNumber: number; ETag: string; ChecksumCRC32?: string } {
  return { PartNumber: number, ETag: etag, ...(checksum === undefined ? {} : { ChecksumCRC32: checksum }) };
}

/** What S3 calls a composite checksum: the CRC-32 of the parts' CRC-32s, and how many there were. */
function jointChecksum(parts: readonly S3Part[]): string | undefined {
  if (parts.some(({ checksum }) => checksum === undefined)) return undefined;
  const joint = crc32(Buffer.concat(parts.map(({ checksum = "" }) => Buffer.from(checksum, "base64"))));
  return `${toBase64(joint)}-${parts.length}`;
}

function toBase64(checksum: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(checksum);
  return bytes.toString("base64");
}
