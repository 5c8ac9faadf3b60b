import { empty, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import { principalOf } from "../oci/access.ts";
import { algorithmOf, type Digest, type DigestAlgorithm, parseDigest, parseDigestAlgorithm } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { NewBlob, UploadSession } from "../storage/upload-store.ts";
import type { RegistryDeps } from "./deps.ts";
import { findMountSource } from "./mount.ts";
import { appendBody, type Chunk, checkChunk } from "./upload-chunks.ts";
import { progressHeaders } from "./upload-progress.ts";

/**
 * `POST /v2/<name>/blobs/uploads/`: begin an upload (202), or be done at once (201) by `?mount=<digest>[&from=]` or by
 * `?digest=<digest>` with the whole blob as body. A mount that cannot be made begins an upload, whatever the reason; only a `from` that is no name at all is refused.
 * @throws OciError NAME_INVALID, DIGEST_INVALID, BLOB_UPLOAD_INVALID
 * @see distribution-spec v1.1 end-4a, end-4b, end-4c, end-11
 */
export function startUpload(deps: RegistryDeps): Handler {
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const digest = optionalDigest(request, "digest");
    const mount = optionalDigest(request, "mount");
    const algorithm = parseDigestAlgorithm(request.query("digest-algorithm") ?? "sha256");

    if (mount !== undefined) {
      const source = await findMountSource(deps, request.actor, mount, request.query("from"));
      const confirm = deps.confirm(request);
      const repositoryId = await deps.repositories.ensure(repository, request.admission, confirm);
      if (source !== undefined && (await deps.blobRows.mount({ repositoryId, digest: mount, source, confirm }))) {
        await deps.failpoint("mount.afterRow");
        return created(deps, repository, mount);
      }
    } else if (digest !== undefined) {
      return putWhole(deps, request, repository, digest);
    }
    if (request.hasBody) {
      throw new OciError("BLOB_UPLOAD_INVALID", {
        message: "a body here needs ?digest=; otherwise send Content-Length: 0",
      });
    }
    const repositoryId = await deps.repositories.ensure(repository, request.admission, deps.confirm(request));
    const id = await deps.uploads.create(repositoryId, principalOf(request.actor), algorithm);
    await deps.failpoint("upload.created");

    return progress(deps, 202, repository, { id, size: 0 });
  };
}

/**
 * `PATCH <blob-push-location>`: the next bytes, with `Content-Range` (a chunk) or without (a stream).
 * @throws OciError BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_RANGE, BLOB_UPLOAD_INVALID
 * @see distribution-spec v1.1 end-5
 */
export function patchUpload(deps: RegistryDeps): Handler {
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const session = await getSession(deps, request, repository);
    const chunk = checkChunk(deps, request, repository, session);

    const next = await appendBody(deps, { request, repository, session, chunk });

    return progress(deps, 202, repository, next);
  };
}

/**
 * `PUT <blob-push-location>?digest=<digest>`: the last bytes, or none. After DIGEST_INVALID the upload stays as it is.
 * @throws OciError BLOB_UPLOAD_UNKNOWN, BLOB_UPLOAD_RANGE, BLOB_UPLOAD_INVALID, DIGEST_INVALID
 * @see distribution-spec v1.1 end-6
 */
export function finishUpload(deps: RegistryDeps): Handler {
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const digest = parseDigest(request.query("digest"));
    const session = await getSession(deps, request, repository);
    const chunk = checkChunk(deps, request, repository, session);

    const pieces = await gather(deps, { request, session, chunk, algorithm: algorithmOf(digest) });
    await finish(deps, { request, session, digest, pieces });

    return created(deps, repository, digest);
  };
}

/**
 * `GET <blob-push-location>`: how far the upload is.
 * @throws OciError BLOB_UPLOAD_UNKNOWN
 * @see distribution-spec v1.1 end-13
 */
export function getUpload(deps: RegistryDeps): Handler {
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));

    const session = await getSession(deps, request, repository);

    return progress(deps, 204, repository, session);
  };
}

/**
 * `DELETE <blob-push-location>`: give the upload up.
 * @throws OciError BLOB_UPLOAD_UNKNOWN
 * @see distribution-spec v1.1 end-14
 */
export function cancelUpload(deps: RegistryDeps): Handler {
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const session = await getSession(deps, request, repository);

    await deps.failpoint("del.beforeRow");
    if (!(await deps.uploads.remove(session.id))) throw new OciError("BLOB_UPLOAD_UNKNOWN");
    await deps.failpoint("del.afterRow");
    await deps.blobs.discard(session.segments);

    return empty(204);
  };
}

interface LastBytes {
  readonly request: Request;
  readonly session: UploadSession;
  readonly chunk: Chunk;
  readonly algorithm: DigestAlgorithm;
}

/** What a blob is made of. */
interface Pieces {
  readonly all: readonly string[];
  /** Those that this request brought. */
  readonly own: readonly string[];
  /** Digest of all, where it was reached while they were written. */
  readonly known: Digest | undefined;
}

interface Finished {
  readonly request: Request;
  readonly session: UploadSession;
  readonly digest: Digest;
  readonly pieces: Pieces;
}

/** The row is not moved on by the last bytes: whatever is wrong with them, the upload stays as it was. */
async function gather(deps: RegistryDeps, { request, session, chunk, algorithm }: LastBytes): Promise<Pieces> {
  const known = session.algorithm === algorithm ? session.digest : undefined;
  if (!request.hasBody) return { all: session.segments, own: [], known };
  const last = await deps.blobs.writeSegment(chunk.limit(request.bodyStream()), algorithm);
  const own = [last.name];
  if (session.size === 0) return { all: own, own, known: last.digest };
  if (last.size === 0) return { all: session.segments, own, known };
  return { all: [...session.segments, last.name], own, known: undefined };
}

/** Bytes, then the row; the pieces go last, when nothing leads to them any more. */
async function finish(deps: RegistryDeps, { request, session, digest, pieces }: Finished): Promise<void> {
  const { all, own, known } = pieces;
  try {
    const blob = await publish(deps, all, digest, known);
    await deps.failpoint("blob.beforeCommit");
    await deps.uploads.finish(session, { ...blob, confirm: deps.confirm(request) });
    await deps.failpoint("blob.afterCommit");
  } catch (error) {
    await deps.blobs.discard(own);
    throw error;
  }
  await deps.blobs.discard([...session.segments, ...own]);
}

/** The pieces are there until the row is committed, so what a collection takes meanwhile can be put back. */
async function publish(
  { blobs }: RegistryDeps,
  pieces: readonly string[],
  digest: Digest,
  known: Digest | undefined,
): Promise<NewBlob> {
  const size = await blobs.publish(pieces, digest, known);
  const ensureBytes = async (): Promise<void> => {
    if ((await blobs.findSize(digest)) !== size) await blobs.publish(pieces, digest, digest);
  };
  return { digest, size, ensureBytes, replaceBytes: () => blobs.replace(pieces, digest) };
}

async function putWhole(
  deps: RegistryDeps,
  request: Request,
  repository: RepositoryName,
  digest: Digest,
): Promise<Reply> {
  const segment = await deps.blobs.writeSegment(request.bodyStream(), algorithmOf(digest));
  try {
    const { admission } = request;
    const blob = await publish(deps, [segment.name], digest, segment.digest);
    await deps.failpoint("blob.beforeCommit");
    await deps.uploads.linkWhole({ repository, admission, ...blob, confirm: deps.confirm(request) });
    await deps.failpoint("blob.afterCommit");
  } finally {
    await deps.blobs.discard([segment.name]);
  }
  return created(deps, repository, digest);
}

const SESSION_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function getSession(deps: RegistryDeps, request: Request, repository: RepositoryName): Promise<UploadSession> {
  const id = request.param("session");
  if (!SESSION_ID.test(id)) throw new OciError("BLOB_UPLOAD_UNKNOWN");
  return deps.uploads.get({ id, repository, principal: principalOf(request.actor) });
}

function optionalDigest(request: Request, name: string): Digest | undefined {
  const text = request.query(name);
  return text === undefined ? undefined : parseDigest(text);
}

function progress(
  deps: RegistryDeps,
  status: number,
  repository: RepositoryName,
  session: Pick<UploadSession, "id" | "size">,
): Reply {
  return empty(status, progressHeaders(deps, repository, session));
}

function created({ publicUrl }: RegistryDeps, repository: RepositoryName, digest: Digest): Reply {
  return empty(201, { Location: `${publicUrl}/v2/${repository}/blobs/${digest}`, "Docker-Content-Digest": digest });
}
