import { matchesETag } from "../http/etag.ts";
import { bytes, empty, type ReplyHeaders } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler, LookAhead } from "../http/route.ts";
import type { Actor } from "../oci/access.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { authorityOf, gunOfRepository } from "../oci/gun.ts";
import { type Manifest, parseManifest } from "../oci/manifest.ts";
import { isNonDistributable } from "../oci/media-types.ts";
import { isReferrersTag, parseReference, parseTag, type Reference, type Tag } from "../oci/reference.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import { BrokenBytesError } from "../storage/broken-bytes.ts";
import { RunsError, runsMessage } from "../storage/deployments.ts";
import type { Author } from "../storage/image-history.ts";
import type { FoundManifest } from "../storage/manifest-lookup.ts";
import { unreadable } from "./broken-blob.ts";
import type { RegistryDeps } from "./deps.ts";
import { inQuarantine } from "./errors.ts";

/** A long query is a mistake before it is a wish. @see distribution-spec main "Pushing Manifests" (at least 10) */
const maxTags = 100;

/**
 * `GET /v2/<name>/manifests/<tag-or-digest>`: the bytes as pushed, with the type they were pushed as; `HEAD` without.
 * @throws OciError NAME_INVALID, TAG_INVALID, DIGEST_INVALID, MANIFEST_UNKNOWN
 * @see distribution-spec v1.1 end-3
 */
export function getManifest(deps: RegistryDeps): LookAhead {
  const { manifests, doubts } = deps;
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const reference = parseReference(request.param("reference"));
    const looked = manifests.look(repository, reference);
    request.looked = looked;
    const row = (await looked)?.found;

    return async () => {
      if (row === undefined) throw unknown(reference);
      if (row.quarantined) throw inQuarantine("MANIFEST_UNKNOWN", row.digest);
      const warned = judgePull(deps, request, { repository, reference, row });
      const headers = manifestHeaders(row, reference, warned === undefined ? [] : await warned);
      if (matchesETag(request.header("If-None-Match"), `"${row.digest}"`)) return empty(304, headers);
      if (request.method === "HEAD") {
        if (row.doubtful) await refuseSkipping(deps, request, repository, row);
        return empty(200, { ...headers, "Content-Type": row.mediaType, "Content-Length": String(row.size) });
      }
      const content = await manifests.findContent(row).catch(async (error: unknown) => {
        if (!(error instanceof BrokenBytesError)) throw error;
        const isDamaged = await doubts.settleManifest(row);
        throw isDamaged ? inQuarantine("MANIFEST_UNKNOWN", row.digest) : unreadable(row.digest, error);
      });
      if (content === undefined) throw unknown(reference);
      return bytes(200, row.mediaType, content, headers);
    };
  };
}

interface Found {
  readonly repository: RepositoryName;
  readonly reference: Reference;
  readonly row: FoundManifest;
}

/** A HEAD is judged as the GET that it stands for. @throws OciError DENIED */
function judgePull(
  { checkPull }: RegistryDeps,
  request: Request,
  { repository, reference, row: { repositoryId, digest, watch } }: Found,
): Promise<readonly string[]> | undefined {
  if (watch === undefined) return undefined;
  const tag = reference.kind === "tag" ? reference.tag : undefined;
  return checkPull(request, { repositoryId, repository, tag, digest, watch });
}

/**
 * crane, oras and regctl leave a whole push out where the manifest is there already, and would never bring back a damaged
 * blob of it. Who only pulls is told the truth: a node that has this layer can go without ours.
 * @throws OciError MANIFEST_UNKNOWN for who may push, of a manifest that needs something in quarantine
 */
async function refuseSkipping(
  { manifests, authorize }: RegistryDeps,
  { actor }: Request,
  repository: RepositoryName,
  row: FoundManifest,
): Promise<void> {
  if (!(await authorize(actor, repository, "push")).allowed || (await manifests.isWhole(row))) return;
  throw inQuarantine("MANIFEST_UNKNOWN", row.digest);
}

/**
 * `PUT /v2/<name>/manifests/<tag-or-digest>`, or by digest with `?tag=` for every tag that shall name it.
 * @throws OciError NAME_INVALID, TAG_INVALID, DIGEST_INVALID, MANIFEST_INVALID, MANIFEST_TOO_LARGE, SIZE_INVALID,
 *   MANIFEST_BLOB_UNKNOWN; DENIED where only what is there already is taken, and for an immutable tag
 * @see distribution-spec main end-7a, end-7b
 */
export function putManifest(deps: RegistryDeps): Handler {
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const reference = parseReference(request.param("reference"));
    const extraTags = parseTags(request, reference);
    const content = await request.body();
    const tags = reference.kind === "tag" ? [reference.tag] : extraTags;
    const { admission } = request;
    if (admission.unchangedOnly) await requireUnchanged(deps, request, { repository, tags, content });
    const manifest = parseManifest(content, request.header("Content-Type"));
    const digest = verifiedDigest(content, reference);

    const row = { ...manifest, digest, content, subject: manifest.subject?.digest };
    request.notes.digest = digest;
    if (!admission.unchangedOnly)
      await deps.manifests.put({
        ...{ repository, admission, manifest: row, tags, confirm: deps.confirm(request) },
        by: authorOf(request.actor),
      });

    return empty(201, {
      Location: `${deps.publicUrl}/v2/${repository}/manifests/${reference.kind === "tag" ? reference.tag : digest}`,
      "Docker-Content-Digest": digest,
      ...(manifest.subject === undefined ? {} : { "OCI-Subject": manifest.subject.digest }),
      ...(extraTags.length === 0 ? {} : { "OCI-Tag": extraTags.join(", ") }),
      ...warnings(manifest, tags),
    });
  };
}

function authorOf({ kind, id, name }: Actor): Author {
  return { name, userId: kind === "user" ? id : undefined };
}

interface Repeated {
  readonly repository: RepositoryName;
  readonly tags: readonly Tag[];
  readonly content: Buffer;
}

/** Every tag has these very bytes already. @throws OciError DENIED */
async function requireUnchanged(
  { manifests, publicUrl }: RegistryDeps,
  { actor }: Request,
  { repository, tags, content }: Repeated,
): Promise<void> {
  const found = await Promise.all(tags.map((tag) => manifests.look(repository, { kind: "tag", tag })));
  const isSame = found.every((seen) => {
    const digest = seen?.found?.digest;
    return digest !== undefined && digestOf(content, algorithmOf(digest)) === digest;
  });
  if (isSame && tags.length > 0) return;
  const image = `${gunOfRepository(repository, authorityOf(publicUrl))}:${tags[0] ?? "TAG"}`;
  const message = `${actor.name} may sign in ${repository}, but not push to it; to sign what is there already, use goldseal trust sign ${image}`;
  throw new OciError("DENIED", { message });
}

/**
 * `DELETE /v2/<name>/manifests/<tag-or-digest>`: a tag alone, or a manifest with every tag that names it. The route
 * asks for `untag`; a digest needs `delete` too.
 * @throws OciError MANIFEST_UNKNOWN, IN_USE when an index lists the manifest or the cluster runs it, DENIED, UNSUPPORTED
 *   when deletion is off
 * @see distribution-spec v1.1 end-9
 */
export function deleteManifest(deps: RegistryDeps): Handler {
  return async (request) => {
    const repository = parseRepositoryName(request.param("name"));
    const reference = parseReference(request.param("reference"));

    const what = reference.kind === "tag" ? `what ${reference.tag} alone names` : reference.digest;
    await removeManifest(deps, request, { repository, reference }).catch(runs(deps, request, repository, what));
    return empty(202);
  };
}

async function removeManifest(
  { manifests, authorize, confirm }: RegistryDeps,
  request: Request,
  { repository, reference }: Pick<Found, "repository" | "reference">,
): Promise<void> {
  if (reference.kind === "tag") {
    await manifests.deleteTag(repository, reference.tag, confirm(request));
    return;
  }
  const decision = await authorize(request.actor, repository, "delete");
  if (!decision.allowed) throw new OciError("DENIED", { message: "you may delete tags here, but not manifests" });
  await manifests.delete(repository, reference.digest, confirm(request, "delete"));
}

/**
 * What services are called is told to readers of the repository, who see it in the image's history too; a robot that only
 * deletes is told that there are some. What a token names does not matter, as for the catalog: it is the account that reads.
 */
function runs({ authorize }: RegistryDeps, { actor }: Request, repository: RepositoryName, what: string) {
  return async (cause: unknown): Promise<never> => {
    if (!(cause instanceof RunsError)) throw cause;
    const { scope: _ofToken, ...account } = actor;
    const isReader = (await authorize(account, repository, "list")).allowed;
    const uses = isReader ? cause.uses : undefined;
    const detail = uses === undefined ? {} : { detail: { services: uses } };
    throw new OciError("IN_USE", { message: runsMessage(what, uses), ...detail, cause });
  };
}

function parseTags(request: Request, reference: Reference): Tag[] {
  const texts = request.queryAll("tag");
  if (texts.length === 0) return [];
  if (reference.kind === "tag") throw new OciError("TAG_INVALID", { message: "?tag= goes with a push by digest only" });
  if (texts.length > maxTags) throw new OciError("TAG_INVALID", { message: `at most ${maxTags} tags in one push` });
  return [...new Set(texts.map(parseTag))];
}

/** @throws OciError DIGEST_INVALID when the manifest was pushed by a digest that is not its own */
function verifiedDigest(content: Buffer, reference: Reference): Digest {
  if (reference.kind === "tag") return digestOf(content);
  const actual = digestOf(content, algorithmOf(reference.digest));
  if (actual !== reference.digest)
    throw new OciError("DIGEST_INVALID", { detail: { expected: reference.digest, actual } });
  return actual;
}

/** A digest's bytes never change; a tag is asked for anew every time, and what a policy may refuse the next time. */
function manifestHeaders(
  { digest, watch }: FoundManifest,
  reference: Reference,
  warned: readonly string[],
): ReplyHeaders {
  const isForEver = reference.kind === "digest" && watch === undefined;
  const headers = {
    "Docker-Content-Digest": digest,
    ETag: `"${digest}"`,
    "Cache-Control": isForEver ? "private, max-age=31536000, immutable" : "private, no-cache",
  };
  return warned.length === 0 ? headers : { ...headers, ...toWarnings(warned) };
}

/** @see distribution-spec v1.1 "Warnings", RFC 7234 section 5.5 */
function warnings({ blobs }: Manifest, tags: readonly Tag[]): ReplyHeaders {
  const texts: string[] = [];
  if (tags.some(isReferrersTag)) {
    texts.push("this registry has the referrers API: a manifest with a subject is listed without this tag");
  }
  if (blobs.some(({ mediaType }) => isNonDistributable(mediaType))) {
    texts.push("a non-distributable layer need not be here: clients fetch it from its urls, this registry never does");
  }
  return toWarnings(texts);
}

/** What is no plain text could end the header's. @see distribution-spec v1.1 "Warnings" */
function toWarnings(texts: readonly string[]): ReplyHeaders {
  if (texts.length === 0) return {};
  return { Warning: texts.map((text) => `299 - "${text.replace(/[^\x20-\x7e]|["\\]/g, "'")}"`) };
}

function unknown(reference: Reference): OciError {
  return new OciError("MANIFEST_UNKNOWN", {
    detail: reference.kind === "tag" ? { tag: reference.tag } : { digest: reference.digest },
  });
}
