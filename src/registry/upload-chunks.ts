import type { Request } from "../http/request.ts";
import { principalOf } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { UploadSession } from "../storage/upload-store.ts";
import type { RegistryDeps } from "./deps.ts";
import { progressHeaders } from "./upload-progress.ts";

/** The bytes that a PATCH or PUT brings, checked against `Content-Range` while they pass. */
export interface Chunk {
  limit(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

export interface Append {
  readonly request: Request;
  readonly repository: RepositoryName;
  readonly session: UploadSession;
  readonly chunk: Chunk;
}

const CONTENT_RANGE = /^(\d{1,16})-(\d{1,16})$/;

/**
 * A chunk begins where the upload ends and is as long as it says; without `Content-Range` the body is simply what
 * comes next.
 * @throws OciError BLOB_UPLOAD_RANGE with the range to go on from, BLOB_UPLOAD_INVALID for a header of another form
 * @see distribution-spec v1.1 "Pushing a blob in chunks"
 */
export function checkChunk(
  deps: RegistryDeps,
  request: Request,
  repository: RepositoryName,
  session: UploadSession,
): Chunk {
  const header = request.header("Content-Range");
  if (header === undefined) return { limit: (content) => content };
  const match = CONTENT_RANGE.exec(header);
  if (match === null) {
    throw new OciError("BLOB_UPLOAD_INVALID", { message: "Content-Range of a chunk is <first byte>-<last byte>" });
  }
  const first = Number(match[1]);
  const length = Number(match[2]) - first + 1;
  const outOfRange = (): OciError =>
    new OciError("BLOB_UPLOAD_RANGE", { headers: progressHeaders(deps, repository, session) });
  if (first !== session.size || length < 1) throw outOfRange();
  if (request.contentLength !== undefined && request.contentLength !== length) throw outOfRange();
  return { limit: (content) => exactly(content, length, outOfRange) };
}

/** Write the body as a segment of its own, then move the session on; of two that race, one is told to go on from there. */
export async function appendBody(
  deps: RegistryDeps,
  { request, repository, session, chunk }: Append,
): Promise<UploadSession> {
  const segment = await deps.blobs.writeSegment(chunk.limit(request.bodyStream()), session.algorithm);
  const next = segment.size === 0 ? undefined : await deps.uploads.append(session, segment);
  await deps.failpoint("upload.afterRow");
  if (next !== undefined) return next;
  await deps.blobs.discard([segment.name]);
  if (segment.size === 0) return session;
  const current = await deps.uploads.get({ id: session.id, repository, principal: principalOf(request.actor) });
  throw new OciError("BLOB_UPLOAD_RANGE", { headers: progressHeaders(deps, repository, current) });
}

async function* exactly(
  content: AsyncIterable<Uint8Array>,
  length: number,
  wrong: () => OciError,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > length) throw wrong();
    yield chunk;
  }
  if (size < length) throw wrong();
}
