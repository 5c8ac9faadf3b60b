import { verifyTargets } from "./delegation-walk.ts";
import { type VerificationCode, VerificationError } from "./error.ts";
import { verifyHashes } from "./file-hashes.ts";
import type { FileMeta } from "./file-meta.ts";
import { type Root, type Snapshot, type Targets, type Timestamp, toSnapshot, toTimestamp } from "./metadata.ts";
import { levelOf, ROOT, type RoleName, SNAPSHOT, TARGETS, TIMESTAMP } from "./names.ts";
import { DEFAULT_POLICY } from "./policy.ts";
import { type TrustSource, walkRoot } from "./root-walk.ts";
import { parseSignedFile, type SignedFile, sha256Of } from "./signed-file.ts";
import { type RoleKeys, verifyNotExpired, verifyRole } from "./verify.ts";

/** `targets`, or a delegation that somebody verified delegates to. */
export interface TrustedRole {
  readonly name: RoleName;
  readonly keys: RoleKeys;
  /** Prefixes of the target names it may speak for; `""` is every name. */
  readonly paths: readonly string[];
  /** Undefined while nobody has published it. */
  readonly file: SignedFile | undefined;
  /** What it says: only when its keys signed it to their threshold. It may have expired, see `problem`. */
  readonly targets: Targets | undefined;
  /** Why it does not count; undefined when it does, or when there is no file. */
  readonly problem: VerificationError | undefined;
}

/** One consistent state of a trust collection, verified from the root down. */
export interface TrustedMetadata {
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  /** `targets` first, then delegations as they were reached: a parent before its children. */
  readonly roles: ReadonlyMap<RoleName, TrustedRole>;
}

const MAX_TIMESTAMP_BYTES = 1024 * 1024;
const MAX_DELEGATIONS = 1023;
const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** A root that is published while we read changes who may sign the rest: then once more from the start. */
const MAX_WALKS = 3;

/** What makes a delegation not count. All else is a server that shows other files than its own snapshot speaks of. */
const HARMLESS: readonly VerificationCode[] = ["DELEGATION", "EXPIRED", "KEY", "LIMIT", "STRUCTURE", "THRESHOLD"];

/**
 * Reads and verifies a trust collection: root, timestamp, snapshot, `targets`, and depth first every delegation; undefined
 * where the server has no trust data. A delegation that does not hold stands there with its problem and counts for
 * nothing; `targets` likewise, so that whoever holds its key can sign it anew: see {@link getTargets}.
 * @throws VerificationError for everything else that does not hold
 * @see TUF 1.0 section 5.3 to 5.7; hardening T01 to T08
 */
export async function readTrusted(source: TrustSource): Promise<TrustedMetadata | undefined> {
  for (let walk = 1; ; walk++) {
    const walking = walkRoot(source);
    // Whoever was here before will hardly see a new root: the timestamp is asked for along with it, and judged by it.
    const early = source.known.has(TIMESTAMP) ? fetchTimestamp(source) : undefined;
    early?.catch(() => undefined);
    const root = await walking;
    if (root === undefined) return undefined;
    try {
      return await readBelow(source, root, early ?? fetchTimestamp(source));
    } catch (error) {
      if (walk === MAX_WALKS || !(error instanceof VerificationError)) throw error;
      const newest = await walkRoot({ ...source, known: new Map([...source.known, [ROOT, root.bytes]]) });
      if (newest === undefined || newest.version === root.version) throw error;
    }
  }
}

/** What a reader remembers of it, by role: the root first, the timestamp last, with which the others count. */
export function filesOf({ root, roles, snapshot, timestamp }: TrustedMetadata): Map<RoleName, Uint8Array> {
  const files = new Map<RoleName, Uint8Array>([[ROOT, root.bytes]]);
  for (const [role, { file, targets }] of roles) {
    if (file !== undefined && targets !== undefined) files.set(role, file.bytes);
  }
  return files.set(SNAPSHOT, snapshot.bytes).set(TIMESTAMP, timestamp.bytes);
}

/** What `targets` says. @throws VerificationError when it does not count */
export function getTargets({ roles }: TrustedMetadata): Targets {
  const { targets, problem } = roles.get(TARGETS) as TrustedRole;
  if (targets === undefined || problem !== undefined) throw problem ?? new VerificationError("MISMATCH", "no targets");
  return targets;
}

const fetchTimestamp = ({ fetch }: TrustSource) => fetch(TIMESTAMP, MAX_TIMESTAMP_BYTES);
type Fetched = ReturnType<TrustSource["fetch"]>;

async function readBelow(source: TrustSource, root: Root, fetched: Fetched): Promise<TrustedMetadata> {
  const timestamp = await readTimestamp(source, root, fetched);
  const snapshot = await readSnapshot(source, root, timestamp);
  // T07: a root that was never published together with this snapshot.
  verifyHashes(root.bytes, ROOT, snapshot.meta.get(ROOT));
  return { root, timestamp, snapshot, roles: await readRoles(source, root, snapshot) };
}

/** TUF 5.4. */
async function readTimestamp(source: TrustSource, root: Root, fetched: Fetched): Promise<Timestamp> {
  const bytes = await fetched;
  if (bytes === undefined) throw new VerificationError("MISMATCH", "there is a root, but no timestamp");
  const file = parseSignedFile(bytes);
  verifyRole(file, TIMESTAMP, root.roles.timestamp);
  const timestamp = toTimestamp(file);
  refuseRollback(source, TIMESTAMP, timestamp, root.roles.timestamp);
  verifyNotExpired(timestamp, TIMESTAMP, source.now);
  return timestamp;
}

/** TUF 5.5. */
async function readSnapshot(source: TrustSource, root: Root, timestamp: Timestamp): Promise<Snapshot> {
  const file = await readByHash(source, SNAPSHOT, timestamp.snapshot);
  verifyRole(file, SNAPSHOT, root.roles.snapshot);
  const snapshot = toSnapshot(file);
  refuseRollback(source, SNAPSHOT, snapshot, root.roles.snapshot);
  verifyNotExpired(snapshot, SNAPSHOT, source.now);
  return snapshot;
}

/** TUF 5.6: from `targets` down, each role once. How many they are is the writers' choice, so there is an end to it (T02). */
async function readRoles(source: TrustSource, root: Root, snapshot: Snapshot): Promise<Map<RoleName, TrustedRole>> {
  const { maxDelegations = MAX_DELEGATIONS } = source;
  const roles = new Map<RoleName, TrustedRole>();
  const verified = new Map<RoleName, Targets>();
  const visit = async (name: RoleName, keys: RoleKeys, paths: readonly string[]): Promise<void> => {
    if (roles.has(name) || levelOf(name) > DEFAULT_POLICY.maxLevels) return;
    // `targets` stands among them, and is none.
    if (roles.size > maxDelegations) throw new VerificationError("LIMIT", `more than ${maxDelegations} delegations`);
    const meta = snapshot.meta.get(name);
    if (meta === undefined) refuseVanished(source, name, keys);
    const file = meta && (await readByHash(source, name, meta));
    const role = { name, keys, paths, file, ...judge(source, { name, keys, file, root, verified }) };
    roles.set(name, role);
    if (role.targets === undefined) return;
    verified.set(name, role.targets);
    if (role.problem !== undefined && name !== TARGETS) return;
    for (const delegation of role.targets.delegations) await visit(delegation.name, delegation, delegation.paths);
  };
  await visit(TARGETS, root.roles.targets, [""]);
  return roles;
}

interface Unjudged {
  readonly name: RoleName;
  readonly keys: RoleKeys;
  readonly file: SignedFile | undefined;
  readonly root: Root;
  readonly verified: ReadonlyMap<RoleName, Targets>;
}

function judge(
  source: TrustSource,
  { name, keys, file, root, verified }: Unjudged,
): Pick<TrustedRole, "targets" | "problem"> {
  if (file === undefined) return { targets: undefined, problem: undefined };
  let targets: Targets | undefined;
  try {
    targets = verifyTargets(file, name, root, verified);
    refuseRollback(source, name, targets, keys);
    verifyNotExpired(targets, name, source.now);
    return { targets, problem: undefined };
  } catch (problem) {
    if (!(problem instanceof VerificationError) || !HARMLESS.includes(problem.code)) throw problem;
    return { targets, problem };
  }
}

/** A file that the reader has already is not fetched again: its name is its hash. */
async function readByHash({ known, fetch }: TrustSource, role: RoleName, meta: FileMeta): Promise<SignedFile> {
  const sha256 = meta.hashes.get("sha256");
  if (sha256 === undefined) throw new VerificationError("MISMATCH", `tuf: sha256 checksum required for ${role}`);
  const remembered = known.get(role);
  if (remembered !== undefined && sha256Of(remembered).equals(sha256)) return parseSignedFile(remembered);
  const bytes = await fetch(`${role}.${sha256.toString("hex")}`, Math.min(meta.length, MAX_FILE_BYTES));
  if (bytes === undefined) throw new VerificationError("MISMATCH", `${role} is named, but not there`);
  verifyHashes(bytes, role, meta);
  return parseSignedFile(bytes);
}

/**
 * T03, T04: no version below the one that was trusted, and no second file of the same version. What was remembered counts
 * only while the keys of today vouch for it: after a rotation it would hold up what is honest (TUF 5.3.11, T05).
 */
function refuseRollback({ known }: TrustSource, role: RoleName, file: SignedFile, keys: RoleKeys): void {
  const before = findVouchedFor(known.get(role), role, keys);
  if (before === undefined) return;
  if (file.version < before.version) {
    throw new VerificationError("VERSION", `${role} went back from version ${before.version} to ${file.version}`);
  }
  if (file.version === before.version && !Buffer.from(file.bytes).equals(before.bytes)) {
    throw new VerificationError("VERSION", `there are two files of ${role} version ${file.version}`);
  }
}

/** T03: taken out of the snapshot, a role could come back later as it was before what is remembered. */
function refuseVanished({ known }: TrustSource, role: RoleName, keys: RoleKeys): void {
  const before = findVouchedFor(known.get(role), role, keys);
  if (before === undefined) return;
  throw new VerificationError("VERSION", `${role} has vanished, of which version ${before.version} was seen`);
}

function findVouchedFor(bytes: Uint8Array | undefined, role: RoleName, keys: RoleKeys): SignedFile | undefined {
  if (bytes === undefined) return undefined;
  try {
    const file = parseSignedFile(bytes);
    verifyRole(file, role, keys);
    return file;
  } catch (error) {
    if (error instanceof VerificationError) return undefined;
    throw error;
  }
}
