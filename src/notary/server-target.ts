import { algorithmOf, type Digest, hexOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { together } from "../storage/statement-batch.ts";
import { type OpenSigner, type SignerPurpose, serverRoleOf } from "./org-signers-store.ts";
import { openServed, publishServed, type ServedCollection, type ServedDeps } from "./served-collection.ts";
import { foundCollection } from "./server-founding.ts";
import { findStanding, type Obstacle, type ServerRoleFile, type Standing } from "./server-standing.ts";
import { TargetsDraft } from "./tuf/compose.ts";
import { UpdateError, VerificationError } from "./tuf/error.ts";
import { readTargetFiles } from "./tuf/metadata.ts";
import { RELEASES } from "./tuf/names.ts";
import { bytesOf } from "./tuf/update.ts";
import type { Part } from "./tuf/upload.ts";

/** What the server says by itself: in this repository, these tags are this manifest. */
export interface ServerTarget {
  readonly purpose: SignerPurpose;
  readonly repository: RepositoryName;
  readonly tags: readonly string[];
  readonly digest: Digest;
  /** Bytes of the manifest. */
  readonly size: number;
  readonly now: Date;
}

export type ServerTargetQuery = Pick<ServerTarget, "purpose" | "repository" | "now">;

/**
 * Signs the tags as part of the caller's transaction, in `targets/goldseal-auto` or `targets/goldseal-promote`, and in
 * `targets/releases` where the owner let the server release; a GUN that nobody has yet is founded. Waits for publishes of the
 * GUN that are under way. Nothing where it is all signed so already.
 * @throws OciError DENIED where the owner of the GUN does not let the server sign, with what to do
 */
export async function issueServerTarget(deps: ServedDeps, sql: Sql, target: ServerTarget): Promise<void> {
  const entry = { sha256: sha256Of(target.digest), length: target.size };
  const { standing, ...opened } = await open(deps, sql, target);
  if (standing.kind === "obstacle") throw refusal(standing.obstacle);
  const { served, signer, founding, roles } =
    standing.kind === "signs" ? { ...opened, ...standing, founding: [] } : await found(deps, sql, opened);
  const parts = roles.flatMap((role) => {
    const missing = findMissing(served, role, target.tags, entry);
    if (missing.length === 0) return [];
    const draft = new TargetsDraft(role.name, role.current, role.version);
    for (const tag of missing) draft.putTarget(tag, entry);
    return [toPart(draft, role, { served, signer })];
  });
  await publish(deps, sql, served, [...founding, ...parts]);
}

/**
 * Takes back what {@link issueServerTarget} said of the tags, where they still are this manifest there.
 * @throws OciError DENIED where an entry stands that the server cannot take back any more
 */
export async function withdrawServerTarget(
  deps: ServedDeps,
  sql: Sql,
  target: Omit<ServerTarget, "size">,
): Promise<void> {
  // Another one was never signed.
  if (algorithmOf(target.digest) !== "sha256") return;
  const sha256 = sha256Of(target.digest);
  const { served, signer, standing } = await open(deps, sql, target);
  if (standing.kind === "obstacle" && mayStand(served, standing.obstacle, { ...target, sha256 }))
    throw refusal(standing.obstacle);
  const roles = standing.kind === "signs" ? standing.roles : [];
  const parts = roles.flatMap((role) => {
    const tags = target.tags.filter((tag) => role.current?.targets.get(tag)?.hashes.get("sha256")?.equals(sha256));
    if (tags.length === 0) return [];
    const draft = new TargetsDraft(role.name, role.current, role.version);
    for (const tag of tags) draft.removeTarget(tag);
    return [toPart(draft, role, { served, signer })];
  });
  await publish(deps, sql, served, parts);
}

/** What {@link issueServerTarget} would be refused for now; undefined where nothing is in its way. Takes the same lock. */
export async function findObstacle(
  deps: ServedDeps,
  sql: Sql,
  query: ServerTargetQuery,
): Promise<Obstacle | undefined> {
  const { standing } = await open(deps, sql, query);
  return standing.kind === "obstacle" ? standing.obstacle : undefined;
}

interface Open {
  readonly served: ServedCollection;
  readonly signer: OpenSigner;
}

async function open(
  deps: ServedDeps,
  sql: Sql,
  { purpose, repository, now }: ServerTargetQuery,
): Promise<Open & { readonly standing: Standing }> {
  const [served, signer] = await together(
    openServed(deps, sql, { repository, roles: [serverRoleOf(purpose), RELEASES], now }),
    deps.signers.open(sql, namespaceOf(repository), purpose, now),
  );
  return {
    served,
    signer,
    standing: findStanding({ served, signer, readRoot: deps.readRoot, readTargets: deps.targetsReader.read }),
  };
}

async function found(deps: ServedDeps, sql: Sql, { served, signer }: Open) {
  const founding = await foundCollection(deps, sql, served);
  const empty = { keyId: signer.key.id, paths: [""], version: 0, current: undefined };
  const roles: readonly ServerRoleFile[] = [signer.role, RELEASES].map((name) => ({ name, ...empty }));
  // Its snapshot and timestamp keys are made now.
  return { signer, founding, roles, served: { ...served, keys: await deps.keys.hold(sql, served.gun) } };
}

function toPart(draft: TargetsDraft, { name, keyId }: ServerRoleFile, { served, signer }: Open): Part {
  return { role: name, file: draft.finish(served.now, [{ keyId, sign: signer.sign }]) };
}

/** @throws OciError DENIED for what the core that judges every upload does not take */
async function publish(deps: ServedDeps, sql: Sql, served: ServedCollection, parts: readonly Part[]): Promise<void> {
  if (parts.length === 0) return;
  try {
    await publishServed(deps, sql, served, parts);
  } catch (cause) {
    if (!(cause instanceof UpdateError || cause instanceof VerificationError)) throw cause;
    const message = `nothing can be signed in ${served.gun}: ${cause.message}`;
    throw new OciError("DENIED", { message, cause });
  }
}

/** @throws OciError DENIED where the owner keeps some of the tags from the server */
function findMissing(served: ServedCollection, role: ServerRoleFile, tags: readonly string[], entry: Entry): string[] {
  const mine = tags.filter((tag) => role.paths.some((prefix) => tag.startsWith(prefix)));
  if (role.name !== RELEASES && mine.length < tags.length) throw outsidePaths(served, role);
  const isOver = role.current !== undefined && role.current.expiresAt < served.now;
  return mine.filter((tag) => isOver || !says(role, tag, entry));
}

/** Where no delegation counts, nothing that stands in it does. */
function mayStand(
  { stored }: ServedCollection,
  { code }: Obstacle,
  { purpose, tags, sha256 }: Pick<ServerTarget, "purpose" | "tags"> & Pick<Entry, "sha256">,
): boolean {
  const file = stored.get(serverRoleOf(purpose));
  if (file === undefined || code === "not-delegated") return false;
  const targets = readTargetFiles(bytesOf(file));
  return tags.some((tag) => targets.get(tag)?.hashes.get("sha256")?.equals(sha256));
}

function says({ current }: ServerRoleFile, tag: string, { sha256, length }: Entry): boolean {
  const file = current?.targets.get(tag);
  return file?.length === length && file.hashes.get("sha256")?.equals(sha256) === true;
}

interface Entry {
  readonly sha256: Buffer;
  readonly length: number;
}

/** @throws OciError DENIED: trust data names a manifest by its SHA-256, and nobody could pull this one by that */
function sha256Of(digest: Digest): Buffer {
  if (algorithmOf(digest) === "sha256") return Buffer.from(hexOf(digest), "hex");
  throw new OciError("DENIED", { message: `${digest.slice(0, 24)}… cannot be signed: push it under its SHA-256` });
}

function refusal({ code, message }: Obstacle): OciError {
  return new OciError("DENIED", { message, detail: { trust: code } });
}

function outsidePaths({ gun }: ServedCollection, { name, paths }: ServerRoleFile): OciError {
  const message = `the owner of the trust data of ${gun} lets this server sign as ${name} only tags that begin with ${paths.join(", ") || "nothing"}`;
  return new OciError("DENIED", { message, detail: { trust: "not-delegated" } });
}
