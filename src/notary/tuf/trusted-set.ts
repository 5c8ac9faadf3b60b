import { verifyTargets } from "./delegation-walk.ts";
import { VerificationError } from "./error.ts";
import { verifyHashes } from "./file-hashes.ts";
import type { FileMeta } from "./file-meta.ts";
import {
  type Delegation,
  type Root,
  type Snapshot,
  type TargetFile,
  type Targets,
  type Timestamp,
  toSnapshot,
  toTimestamp,
} from "./metadata.ts";
import { ancestorsOf, type Gun, levelOf, ROOT, type RoleName, SNAPSHOT, TARGETS, TIMESTAMP } from "./names.ts";
import { verifyRootSuccession } from "./root-succession.ts";
import { parseSignedFile } from "./signed-file.ts";
import { type RoleKeys, signersOf, verifyNotExpired, verifyRole } from "./verify.ts";

export interface TrustedSetInput {
  readonly gun: Gun;
  /**
   * The current file of every role. That the root is the right one is the caller's to know (a pin, or the successor of a
   * pinned one): here it only has to be this GUN's and signed by its own keys.
   */
  readonly files: ReadonlyMap<RoleName, Uint8Array>;
  readonly now: Date;
}

/** `targets` or a delegation that holds. */
export interface TrustedRole {
  readonly targets: Targets;
  readonly keys: RoleKeys;
  /** Undefined for `targets`, which may speak of everything. */
  readonly paths: readonly string[] | undefined;
  /** `spkiOf` of each of its keys that signed. */
  readonly signers: ReadonlySet<string>;
}

/** A GUN's files that were published together, walked from the root down to the last delegation. */
export interface TrustedSet {
  readonly gun: Gun;
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  /** In the order in which they are asked: depth first, a parent before its children. */
  readonly roles: ReadonlyMap<RoleName, TrustedRole>;
  /** Published delegations that count for nothing, with all below them, and why: one that ran out stops nobody else. */
  readonly dropped: ReadonlyMap<RoleName, VerificationError>;
}

/** More are an attempt to keep us busy (hardening T02, T16). */
const [MAX_DELEGATIONS, MAX_LEVELS] = [32, 8];

/**
 * What a client may believe of `files`, at `now`.
 * @throws VerificationError when the set as a whole does not hold: a base role, or a file that is not the published one
 * @see TUF 1.0 sections 5.3 to 5.6; hardening T01, T02, T06 to T08, T15, T16. Rollback (T03) is judged by who remembers
 */
export function openTrustedSet({ gun, files, now }: TrustedSetInput): TrustedSet {
  const root = openRoot(getFile(files, ROOT), gun, now);
  const timestamp = toTimestamp(verified(getFile(files, TIMESTAMP), TIMESTAMP, root.roles.timestamp));
  verifyNotExpired(timestamp, TIMESTAMP, now);
  const snapshotBytes = getPublished(files, SNAPSHOT, timestamp.snapshot);
  const snapshot = toSnapshot(verified(snapshotBytes, SNAPSHOT, root.roles.snapshot));
  verifyNotExpired(snapshot, SNAPSHOT, now);
  getPublished(files, ROOT, snapshot.meta.get(ROOT));

  const walk: Walk = { files, now, root, snapshot, roles: new Map(), dropped: new Map() };
  const bytes = getPublished(files, TARGETS, snapshot.meta.get(TARGETS));
  visit(walk, { role: TARGETS, keys: root.roles.targets, paths: undefined, bytes });
  visitDelegations(walk, TARGETS);
  return { gun, root, timestamp, snapshot, roles: walk.roles, dropped: walk.dropped };
}

/** What `role` says of the target `name`; undefined when it says nothing, or may not speak of it. */
export function findTarget({ roles }: TrustedSet, role: RoleName, name: string): TargetFile | undefined {
  const isAllowed = [...ancestorsOf(role), role].every((step) => {
    const paths = roles.get(step)?.paths;
    return step === TARGETS || paths?.some((prefix) => name.startsWith(prefix));
  });
  return isAllowed ? roles.get(role)?.targets.targets.get(name) : undefined;
}

const RELEASES = "targets/releases" as RoleName;

/** Whose word a client takes for `name`: docker's order (`targets/releases`, `targets`), then the order of the walk. */
export function resolveTarget(set: TrustedSet, name: string): { role: RoleName; file: TargetFile } | undefined {
  for (const role of [RELEASES, ...set.roles.keys()]) {
    const file = findTarget(set, role, name);
    if (file !== undefined) return { role, file };
  }
  return undefined;
}

interface Walk {
  readonly files: ReadonlyMap<RoleName, Uint8Array>;
  readonly now: Date;
  readonly root: Root;
  readonly snapshot: Snapshot;
  readonly roles: Map<RoleName, TrustedRole>;
  readonly dropped: Map<RoleName, VerificationError>;
}

/** T08: the root of another GUN says nothing here. */
function openRoot(bytes: Uint8Array, gun: Gun, now: Date): Root {
  const root = verifyRootSuccession(parseSignedFile(bytes), { gun, current: undefined, now });
  verifyNotExpired(root, ROOT, now);
  return root;
}

function visitDelegations(walk: Walk, parent: RoleName): void {
  for (const delegation of walk.roles.get(parent)?.targets.delegations ?? []) {
    const { name } = delegation;
    // Delegated to, but nothing published yet: as docker's `signer add` leaves it.
    if (!walk.snapshot.meta.has(name)) continue;
    if (walk.roles.has(name) || walk.dropped.has(name)) {
      throw new VerificationError("DELEGATION", `delegation ${name} stands there twice`);
    }
    if (walk.roles.size + walk.dropped.size > MAX_DELEGATIONS || levelOf(name) > MAX_LEVELS) {
      throw new VerificationError("LIMIT", `more than ${MAX_DELEGATIONS} delegations or ${MAX_LEVELS} levels of them`);
    }
    if (isTrusted(walk, delegation)) visitDelegations(walk, name);
  }
}

/** The bytes must be the published ones in any case; a delegation that does not hold is dropped alone. */
function isTrusted(walk: Walk, delegation: Delegation): boolean {
  const { name } = delegation;
  const bytes = getPublished(walk.files, name, walk.snapshot.meta.get(name));
  try {
    visit(walk, { role: name, keys: delegation, paths: delegation.paths, bytes });
    return true;
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    walk.dropped.set(name, error);
    return false;
  }
}

interface Visit extends Pick<TrustedRole, "keys" | "paths"> {
  readonly role: RoleName;
  readonly bytes: Uint8Array;
}

function visit(walk: Walk, { role, keys, paths, bytes }: Visit): void {
  const parents = new Map([...walk.roles].map(([name, { targets }]) => [name, targets]));
  const targets = verifyTargets(parseSignedFile(bytes), role, walk.root, parents);
  verifyNotExpired(targets, role, walk.now);
  walk.roles.set(role, { targets, keys, paths, signers: signersOf(targets, keys) });
}

function verified(bytes: Uint8Array, role: RoleName, keys: RoleKeys) {
  const file = parseSignedFile(bytes);
  verifyRole(file, role, keys);
  return file;
}

/** T07: the very file that was published with the others, by its length and by hashes that include SHA-256. */
function getPublished(files: TrustedSetInput["files"], role: RoleName, meta: FileMeta | undefined): Uint8Array {
  const bytes = getFile(files, role);
  if (meta?.length !== bytes.length || !meta.hashes.has("sha256")) {
    throw new VerificationError("MISMATCH", `${role} is not the file of ${bytes.length} bytes that was published`);
  }
  verifyHashes(bytes, role, meta);
  return bytes;
}

function getFile(files: TrustedSetInput["files"], role: RoleName): Uint8Array {
  const bytes = files.get(role);
  if (bytes === undefined) throw new VerificationError("MISMATCH", `there is no ${role} in the set`);
  return bytes;
}
