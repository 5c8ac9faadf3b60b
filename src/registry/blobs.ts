import { LRUCache } from "lru-cache";
import { matchesETag } from "../http/etag.ts";
import { type ByteRange, parseRange } from "../http/range.ts";
import { bytes, empty, type Reply, type ReplyHeaders } from "../http/reply.ts";
import type { Handler, LookAhead } from "../http/route.ts";
import { algorithmOf, type Digest, digestOf, parseDigest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { BlobReader } from "../storage/blob-store.ts";
import { BrokenBytesError, mayBeDamage } from "../storage/broken-bytes.ts";
import { explainBroken, unknownBlob } from "./broken-blob.ts";
import type { RegistryDeps } from "./deps.ts";
import { inQuarantine } from "./errors.ts";

/** Configs and the like are kept in memory: what a digest names never changes. Who may see it is asked every time. */
const maxCachedBlobBytes = 64 * 1024;
const maxCacheBytes = 16 * 1024 * 1024;

/** How long a client may begin to read a blob from the bucket: with a token's 5 min, whoever lost the right is out in 6. */
const redirectSeconds = 60;

/**
 * `GET /v2/<name>/blobs/<digest>`: the whole blob or one range of it, or 307 to where the bucket has it; `HEAD` the same
 * without the bytes.
 * @throws OciError NAME_INVALID, DIGEST_INVALID, BLOB_UNKNOWN, RANGE_INVALID
 * @see distribution-spec v1.1 end-2, RFC 9110 section 14 (ranges) and 13 (conditions)
 */
export function getBlob(deps: RegistryDeps): LookAhead {
  const { blobRows, blobs, redirects, doubts } = deps;
  const cache = new LRUCache<Digest, Buffer>({ maxSize: maxCacheBytes, sizeCalculation: ({ length }) => length + 256 });
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const digest = parseDigest(request.param("digest"));
    const looked = blobRows.look(repository, digest);
    request.looked = looked;
    const row = (await looked)?.found;

    return async () => {
      if (row === undefined) throw unknownBlob(digest);
      if (row.quarantined) throw inQuarantine("BLOB_UNKNOWN", digest);
      const { size } = row;
      const etag = `"${digest}"`;
      const headers = blobHeaders(digest, etag);
      if (matchesETag(request.header("If-None-Match"), etag)) return empty(304, headers);
      const range = rangeOf(request.method, request.header("Range"), request.header("If-Range"), etag, size);

      if (request.method === "HEAD") {
        // Who pushes asks so, and leaves out what is here.
        if (row.unreferenced && !(await blobRows.keep(repository, digest))) throw unknownBlob(digest);
        return empty(200, { ...headers, "Content-Type": OCTETS, "Content-Length": String(size) });
      }
      const isSmall = size <= maxCachedBlobBytes;
      try {
        if (isSmall) return small(await load(cache, deps, digest, size), range, headers);
        if (redirects(request.clientAddress)) {
          const url = await blobs.presign(digest, redirectSeconds);
          if (url !== undefined) return elsewhere(url, digest);
        }
        const onBroken = (error: unknown): void => {
          if (mayBeDamage(error)) doubts.suspect({ digest, size });
        };
        return large(await openBlob(deps, digest, size), { range, onBroken }, headers);
      } catch (error) {
        throw await explainBroken(deps, { repository, digest, size, isSmall }, error);
      }
    };
  };
}

/**
 * `DELETE /v2/<name>/blobs/<digest>`: out of this repository; others that hold the blob keep it.
 * @throws OciError BLOB_UNKNOWN, IN_USE when a manifest needs it, UNSUPPORTED when deletion is off
 * @see distribution-spec v1.1 end-10
 */
export function deleteBlob({ blobRows, confirm, failpoint }: RegistryDeps): Handler {
  return async (request) => {
    const repository: RepositoryName = parseRepositoryName(request.param("name"));
    const digest = parseDigest(request.param("digest"));

    await failpoint("del.beforeRow");
    await blobRows.unlink(repository, digest, confirm(request));
    await failpoint("del.afterRow");

    return empty(202);
  };
}

const OCTETS = "application/octet-stream";

/** A blob is never a page: whatever its layer says it is, a browser must not run it. */
function blobHeaders(digest: Digest, etag: string): ReplyHeaders {
  return {
    "Docker-Content-Digest": digest,
    ETag: etag,
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "sandbox; default-src 'none'",
  };
}

function rangeOf(
  method: string,
  header: string | undefined,
  ifRange: string | undefined,
  etag: string,
  size: number,
): ByteRange | undefined {
  if (method !== "GET" || (ifRange !== undefined && ifRange !== etag)) return undefined;
  const range = parseRange(header, size);
  if (range !== "unsatisfiable") return range;
  throw new OciError("RANGE_INVALID", { headers: { "Content-Range": `bytes */${size}` } });
}

function partial(range: ByteRange | undefined, size: number, headers: ReplyHeaders): [number, ReplyHeaders] {
  if (range === undefined) return [200, headers];
  return [206, { ...headers, "Content-Range": `bytes ${range.first}-${range.last}/${size}` }];
}

function small(content: Buffer, range: ByteRange | undefined, headers: ReplyHeaders): Reply {
  const [status, all] = partial(range, content.length, headers);
  return bytes(status, OCTETS, range === undefined ? content : content.subarray(range.first, range.last + 1), all);
}

interface LargeOptions {
  readonly range: ByteRange | undefined;
  readonly onBroken: (error: unknown) => void;
}

/** Not hashed while it is sent, which would halve the speed: who pulls it does so. */
function large(reader: BlobReader, { range, onBroken }: LargeOptions, headers: ReplyHeaders): Reply {
  const { first, last } = range ?? { first: 0, last: reader.size - 1 };
  const [status, all] = partial(range, reader.size, headers);
  const chunks = () => reader.chunks(first, last);
  const body = { length: last - first + 1, chunks, onBroken, close: () => reader.close() };
  return bytes(status, OCTETS, body, all);
}

/** The URL is a key to the bytes for whoever has it: nobody keeps it. */
function elsewhere(url: string, digest: Digest): Reply {
  return empty(307, { Location: url, "Docker-Content-Digest": digest, "Cache-Control": "no-store" });
}

type Bytes = Pick<RegistryDeps, "blobs" | "doubts">;

async function load(cache: LRUCache<Digest, Buffer>, from: Bytes, digest: Digest, size: number): Promise<Buffer> {
  const cached = cache.get(digest);
  if (cached !== undefined) return cached;
  const reader = await openBlob(from, digest, size);
  try {
    const chunks: Uint8Array[] = [];
    for await (const chunk of reader.chunks(0, size - 1)) chunks.push(Uint8Array.from(chunk));
    const content = Buffer.concat(chunks, size);
    // What is kept outlives the repair of the blob.
    if (digestOf(content, algorithmOf(digest)) !== digest) throw new BrokenBytesError(`blob ${digest} has other bytes`);
    cache.set(digest, content);
    return content;
  } finally {
    await reader.close();
  }
}

/** A row whose bytes are gone or of another size is corruption: never serve it. */
async function openBlob({ blobs, doubts }: Bytes, digest: Digest, size: number): Promise<BlobReader> {
  const reader = await blobs.open(digest);
  if (reader?.size === size) {
    doubts.isThere();
    return reader;
  }
  await reader?.close();
  throw new BrokenBytesError(
    `blob ${digest} should have ${size} bytes, but the blob store has ${reader?.size ?? "none"}`,
  );
}
