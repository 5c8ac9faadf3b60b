import { empty } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import type { Sql } from "../storage/database.ts";
import { findContradiction, immutableMessage } from "../storage/immutable-tags.ts";
import { ensureRepository } from "../storage/repository-store.ts";
import { together } from "../storage/statement-batch.ts";
import type { NotaryDeps } from "./deps.ts";
import { type GunParams, gunParams } from "./gun-params.ts";
import { holdCollection, insertFiles, type Wanted } from "./metadata-store.ts";
import { parseMultipart } from "./multipart.ts";
import { markUsed } from "./server-keys-store.ts";
import { signatureEvents } from "./signature-events.ts";
import { insertSignatures, type NewSignature } from "./signatures-store.ts";
import { faultOf, UpdateError } from "./tuf/error.ts";
import { isDelegationName, TARGETS } from "./tuf/names.ts";
import { completeUpdate } from "./tuf/produce.ts";
import { judgeUpdate } from "./tuf/update.ts";
import { contentsNeeded, type Part, readParts, rolesNeeded } from "./tuf/upload.ts";

/**
 * `POST /v2/<gun>/_trust/tuf/`: one file for each role that changes, as `multipart/form-data`. All of it is stored together
 * with the snapshot and timestamp made from it, or nothing is. A first publish makes the repository.
 * @throws UpdateError, NotaryError VERSION
 * @see notary `server/handlers/default.go` AtomicUpdateHandler
 */
export function publish(deps: NotaryDeps): Handler {
  return async (request) => {
    const { gun, repository } = gunParams(deps, request);
    const contentType = request.header("content-type");
    const parts = readParts(await parseMultipart(contentType, await request.body()));

    request.notes.roles = parts
      .map(({ role }) => role)
      .join(" ")
      .slice(0, 500);

    await store(deps, request, { gun, repository, parts });

    return empty(200);
  };
}

interface Publish extends GunParams {
  readonly parts: readonly Part[];
}

async function store(deps: NotaryDeps, request: Request, update: Publish): Promise<void> {
  const { database, failpoint } = deps;
  await database.transaction(async (sql) => {
    // Side by side, and in this order, in which everybody takes these locks: nothing counts before both are done.
    await together(deps.confirm(request)(sql), judgeAndInsert(deps, sql, request, update));
    await failpoint("tuf.beforeCommit");
  });
  await failpoint("tuf.afterCommit");
}

function wantedBy({ parts }: Publish): Wanted {
  // The files that are replaced, for what they say of tags.
  const replaced = parts.map(({ role }) => role).filter((role) => role === TARGETS || isDelegationName(role));
  return { roles: rolesNeeded(parts), contents: new Set([...contentsNeeded(parts), ...replaced]) };
}

/** The lock is taken first, so everything that is read here stays current until the commit. */
async function judgeAndInsert(deps: NotaryDeps, sql: Sql, request: Request, update: Publish): Promise<void> {
  const { gun, repository, parts } = update;
  const [now, { readRoot }] = [deps.now(), deps];
  const [repositoryId, { collection, stored }, keys] = await together(
    ensureRepository(sql, repository, request.admission),
    holdCollection(sql, gun, wantedBy(update), now),
    deps.keys.hold(sql, gun),
  );
  const judged = judgeUpdate({ gun, parts, stored, serverKeys: keys.serverKeys, now, readRoot });
  await deps.failpoint("tuf.afterValidate");
  const files = completeUpdate(judged, keys.sign);
  await deps.failpoint("tuf.afterSign");
  const signatures = signatureEvents(judged, stored);
  await together(
    markUsed(sql, gun, keys, now),
    insertFiles(sql, collection, files, now),
    insertSignatures(sql, { repositoryId, at: now, signatures }),
    deps.onSigned(sql, signedBy(signatures)),
    mustKeepTags(sql, repositoryId, signatures),
  );
}

/** Clients take a tag from the trust data before they ask the registry: there, too, an immutable one is nothing else. */
async function mustKeepTags(sql: Sql, repositoryId: number, signatures: readonly NewSignature[]): Promise<void> {
  const said = signatures.filter(({ kind }) => kind === "signed" || kind === "re-signed");
  const tag = said.length === 0 ? undefined : await findContradiction(sql, repositoryId, said);
  if (tag !== undefined) throw new UpdateError("INVALID_UPDATE", faultOf("ErrBadTargets", immutableMessage(tag)));
}

function signedBy(signatures: readonly NewSignature[]): Digest[] {
  return [...new Set(signatures.flatMap(({ digest }) => (digest === "" ? [] : [parseDigest(digest)])))];
}
