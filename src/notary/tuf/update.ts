import { type VerifiedTargets, verifyTargets } from "./delegation-walk.ts";
import { faultOf, UpdateError, VerificationError } from "./error.ts";
import { toFileMeta, verifyHashes } from "./file-hashes.ts";
import type { FileMeta } from "./file-meta.ts";
import { refuseWeakness } from "./hardening.ts";
import { refuseSameKeyTwice } from "./key-rules.ts";
import { parseRoot, parseSnapshot, type Root, type Snapshot, type Targets, toSnapshot } from "./metadata.ts";
import {
  ancestorsOf,
  type Gun,
  type KeyId,
  levelOf,
  ROOT,
  type RoleName,
  type ServerRole,
  SNAPSHOT,
  TARGETS,
  TIMESTAMP,
} from "./names.ts";
import { DEFAULT_POLICY, type UpdatePolicy } from "./policy.ts";
import { invalidUpdate, refusedAs } from "./refusal.ts";
import { verifyRootSuccession } from "./root-succession.ts";
import { findSigners, type ServerKeys } from "./server-keys.ts";
import { parseSignedFile, type SignedFile, sha256Of } from "./signed-file.ts";
import type { Part } from "./upload.ts";
import { verifyNotExpired, verifyRole } from "./verify.ts";

export interface UpdateInput {
  readonly gun: Gun;
  readonly parts: readonly Part[];
  /** The current file of each role of `rolesNeeded(parts)` that has one: its highest version. */
  readonly stored: ReadonlyMap<RoleName, StoredRole>;
  /** Reads the stored root, which is the same in nearly every push of a GUN; default: anew each time. */
  readonly readRoot?: (stored: StoredRole) => Root;
  readonly serverKeys: ServerKeys;
  readonly now: Date;
  readonly policy?: UpdatePolicy;
}

/** A current file: what was written down when it was stored, and its bytes where they are needed. */
export interface StoredRole {
  readonly version: number;
  readonly expiresAt: Date;
  /** Hex. */
  readonly sha256: string;
  /** Undefined where `contentsNeeded(parts)` does not name the role. */
  readonly bytes: Uint8Array | undefined;
}

/** A file as it is stored. */
export interface MetadataFile {
  readonly role: RoleName;
  readonly version: number;
  readonly bytes: Uint8Array;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly expiresAt: Date;
}

/** What the server still has to sign. */
export interface Production {
  readonly version: number;
  readonly signers: readonly KeyId[];
  /** When the present file ends; undefined where there is none. */
  readonly previousExpiresAt: Date | undefined;
}

/** An update that may be published. */
export interface JudgedUpdate {
  /** In force after this update. */
  readonly root: Root;
  /** What was uploaded below `targets`, and what it hangs on. */
  readonly targets: VerifiedTargets;
  /** In the order root, targets, delegations, snapshot. */
  readonly uploaded: readonly MetadataFile[];
  readonly toProduce: readonly ServerRole[];
  /** Undefined when the client made the snapshot. */
  readonly snapshot: (Production & { readonly meta: ReadonlyMap<string, FileMeta> }) | undefined;
  readonly timestamp: Production;
  readonly now: Date;
  readonly policy: UpdatePolicy;
}

/** One push on its way through the checks. */
export interface Judgement extends UpdateInput {
  readonly files: ReadonlyMap<RoleName, SignedFile>;
  readonly policy: UpdatePolicy;
}

/**
 * Whether a push may be published: upstream's checks in upstream's order, so that clients get the answers they know, then
 * what this server refuses beyond (`hardening.ts`), then the rule that versions only rise. It has no effect.
 * @throws UpdateError
 * @see docs/decisions/0010, steps C and D
 */
export function judgeUpdate(input: UpdateInput): JudgedUpdate {
  const files = new Map(input.parts.map(({ role, file }) => [role, file]));
  files.delete(TIMESTAMP); // Only the server makes timestamps; a client's is read past (hardening T21).
  const push: Judgement = { ...input, files, policy: input.policy ?? DEFAULT_POLICY };

  const root = judgeRoot(push);
  const targets = judgeTargets(push, root);
  const clientSnapshot = judgeSnapshot(push, root, targets);
  const snapshot = clientSnapshot ? undefined : planSnapshot(push, root, targets);
  const timestamp = planTimestamp(push, root);
  refuseWeakness(push, { root, targets, snapshot: clientSnapshot });
  refuseOldVersions(push);

  const uploaded = uploadOrder(push).map(([role, file]) => toMetadataFile(role, file));
  const toProduce: readonly ServerRole[] = snapshot ? ["snapshot", "timestamp"] : ["timestamp"];
  return { root, targets, uploaded, toProduce, snapshot, timestamp, now: push.now, policy: push.policy };
}

export function toMetadataFile(
  role: RoleName,
  { version, bytes, expiresAt }: Pick<SignedFile, "version" | "bytes" | "expiresAt">,
): MetadataFile {
  return { role, version, bytes, sha256: sha256Of(bytes).toString("hex"), expiresAt };
}

/** Step C1. The root that counts from now on; the stored one counts even when it has expired. */
function judgeRoot({ files, stored, gun, now, readRoot = toStoredRoot }: Judgement): Root {
  const storedRoot = stored.get(ROOT);
  const current = storedRoot && readRoot(storedRoot);
  const file = files.get(ROOT);
  if (file === undefined) {
    if (current) return current;
    throw invalidUpdate("ErrValidation", "no pre-existing root and no root provided in update.");
  }
  return refusedAs("ErrBadRoot", () => {
    checkRootVersion(file, current?.version ?? 1);
    const root = verifyRootSuccession(file, { gun, current, now });
    verifyNotExpired(root, ROOT, now);
    return root;
  });
}

export const toStoredRoot = (stored: StoredRole): Root => parseRoot(bytesOf(stored));

/** Never taken for a file that is not there: that it was not loaded is our own mistake. */
export function bytesOf({ bytes }: StoredRole): Uint8Array {
  if (bytes === undefined) throw new Error("a stored file is needed that was not loaded");
  return bytes;
}

/** A root left out would break the chain that old clients follow version by version (TUF 5.3.5, hardening T03). */
function checkRootVersion({ version }: SignedFile, current: number): void {
  if (version === current || version === current + 1) return;
  const message = `Root modifications must increment the version. Current ${current}, new ${version}`;
  throw new VerificationError("VERSION", message);
}

/** Step C2. Everything uploaded below `targets`, and the stored ancestors that it hangs on. */
function judgeTargets(push: Judgement, root: Root): VerifiedTargets {
  const verified = new Map<RoleName, Targets>();
  for (const [role, file] of uploadOrder(push)) {
    if (levelOf(role) === 0 && role !== TARGETS) continue;
    for (const ancestor of ancestorsOf(role)) loadAncestor(push, ancestor, root, verified);
    const targets = refusedAs("ErrBadTargets", () => {
      const found = verifyTargets(file, role, root, verified);
      verifyNotExpired(found, role, push.now);
      for (const delegation of found.delegations) refuseSameKeyTwice(delegation.name, delegation);
      return found;
    });
    verified.set(role, targets);
  }
  return verified;
}

/** A missing ancestor is not an error yet; one that no longer holds, say after a rotation of its keys, is. */
function loadAncestor({ stored }: Judgement, role: RoleName, root: Root, verified: Map<RoleName, Targets>): void {
  const found = stored.get(role);
  if (verified.has(role) || found === undefined) return;
  try {
    verified.set(role, verifyTargets(parseSignedFile(bytesOf(found)), role, root, verified));
  } catch (error) {
    // Upstream answers this one without a detail.
    if (error instanceof VerificationError) throw new UpdateError("INVALID_UPDATE", undefined, error);
    throw error;
  }
}

/** Step C3. A client's own snapshot, which must be of exactly the files that will stand beside it. */
function judgeSnapshot({ files, now }: Judgement, root: Root, targets: VerifiedTargets): Snapshot | undefined {
  const file = files.get(SNAPSHOT);
  if (file === undefined) return undefined;
  return refusedAs("ErrBadSnapshot", () => {
    verifyRole(file, SNAPSHOT, root.roles.snapshot);
    const snapshot = toSnapshot(file);
    verifyNotExpired(snapshot, SNAPSHOT, now);
    for (const [role, { bytes }] of [[ROOT, root] as const, ...targets]) {
      verifyHashes(bytes, role, snapshot.meta.get(role));
    }
    return snapshot;
  });
}

/** Step C4. The stored snapshot with what this push changes. Entries of removed delegations stay, as clients expect. */
function planSnapshot(push: Judgement, root: Root, targets: VerifiedTargets): JudgedUpdate["snapshot"] {
  const signers = findSigners(root.roles.snapshot, push.serverKeys.snapshot);
  if (signers === undefined) throw new UpdateError("INVALID_UPDATE", NO_SNAPSHOT);
  const stored = push.stored.get(SNAPSHOT);
  const current = stored && parseSnapshot(bytesOf(stored));
  if (current === undefined && !push.files.has(TARGETS)) {
    throw invalidUpdate("ErrValidation", "targets must be loaded first");
  }
  const meta = new Map(current?.meta);
  for (const [role, file] of [[ROOT, root] as const, ...targets]) meta.set(role, toFileMeta(file.bytes));
  return { meta, signers, version: (current?.version ?? 0) + 1, previousExpiresAt: current?.expiresAt };
}

const NO_SNAPSHOT = faultOf(
  "ErrBadHierarchy",
  "no snapshot was included in update and server does not hold current snapshot key for repository",
  "snapshot",
);

/**
 * Step C5. The server signs with a key that the root lists and that it made for this very GUN and role: a root that
 * lists another repository's timestamp key is refused, which upstream accepts (hardening T22).
 */
function planTimestamp({ stored, serverKeys }: Judgement, root: Root): Production {
  const signers = findSigners(root.roles.timestamp, serverKeys.timestamp);
  if (signers === undefined) throw invalidUpdate("ErrBadRoot", "no  timestamp keys exist on the server");
  const current = stored.get(TIMESTAMP);
  return { signers, version: (current?.version ?? 0) + 1, previousExpiresAt: current?.expiresAt };
}

/** Step D: no version twice, none backwards, whoever signed it (rollback; TUF 5.4.4, 5.5.5; hardening T03, T04). */
function refuseOldVersions({ files, stored }: Judgement): void {
  for (const [role, { version }] of files) {
    const current = stored.get(role);
    if (current && version <= current.version) throw new UpdateError("VERSION", {});
  }
}

/** Root, then targets and delegations from the top down and by name, then the snapshot. */
function uploadOrder({ files }: Judgement): readonly (readonly [RoleName, SignedFile])[] {
  const place = (role: RoleName): number => (role === ROOT ? -1 : role === SNAPSHOT ? Infinity : levelOf(role));
  return [...files].sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1));
}
