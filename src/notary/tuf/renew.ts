import { VerificationError } from "./error.ts";
import { toFileMeta } from "./file-hashes.ts";
import { parseRoot, parseSnapshot, parseTimestamp, type Root, type Snapshot, type Timestamp } from "./metadata.ts";
import { type KeyId, ROOT, SNAPSHOT } from "./names.ts";
import { DEFAULT_POLICY, type UpdatePolicy } from "./policy.ts";
import { produce, produceTimestamp, type Sign } from "./produce.ts";
import { findSigners, type ServerKeys } from "./server-keys.ts";
import type { MetadataFile } from "./update.ts";
import { verifyNotExpired } from "./verify.ts";

export interface RenewalInput {
  /** The current root. */
  readonly root: Uint8Array;
  /** The snapshot that `timestamp` names. */
  readonly snapshot: Uint8Array;
  readonly timestamp: Uint8Array;
  readonly serverKeys: ServerKeys;
  readonly now: Date;
  /** What ends before is renewed; by default what has ended. */
  readonly expiringBefore?: { readonly snapshot: Date; readonly timestamp: Date };
  readonly sign: Sign;
  readonly policy?: UpdatePolicy;
}

interface Current {
  readonly root: Root;
  readonly snapshot: Snapshot;
  readonly timestamp: Timestamp;
}

/**
 * A new timestamp, and a new snapshot where the server makes it, for those that end soon; [] when none does, or when
 * nothing has ended yet and the server cannot sign.
 * @throws VerificationError EXPIRED, KEY: something has ended and the server cannot help it (its root has ended too, or
 * a client holds the key)
 * @see docs/decisions/0010, "Reads"; hardening T06
 */
export function renewServerRoles(input: RenewalInput): readonly MetadataFile[] {
  const { now, expiringBefore: before = { snapshot: now, timestamp: now } } = input;
  const current: Current = {
    root: parseRoot(input.root),
    snapshot: parseSnapshot(input.snapshot),
    timestamp: parseTimestamp(input.timestamp),
  };
  const due: Due = {
    snapshot: ends(current.snapshot, before.snapshot),
    timestamp: ends(current.timestamp, before.timestamp),
  };
  if (!due.snapshot && !due.timestamp) return [];
  const mustRenew = ends(current.snapshot, now) || ends(current.timestamp, now);
  try {
    return renew(input, current, due);
  } catch (error) {
    if (error instanceof VerificationError && !mustRenew) return [];
    throw error;
  }
}

interface Due {
  readonly snapshot: boolean;
  readonly timestamp: boolean;
}

function renew(input: RenewalInput, current: Current, due: Due): readonly MetadataFile[] {
  const { sign, now, policy = DEFAULT_POLICY } = input;
  verifyNotExpired(current.root, ROOT, now);
  const snapshot = due.snapshot ? renewSnapshot(input, current) : undefined;
  if (snapshot === undefined && !due.timestamp) return [];
  const signers = findSigners(current.root.roles.timestamp, input.serverKeys.timestamp);
  if (signers === undefined) throw new VerificationError("KEY", "no  timestamp keys exist on the server");
  const plan = { root: current.root, signers, now, ...next(current.timestamp, policy.timestampLifeSeconds) };
  const timestamp = produceTimestamp(plan, snapshot ?? current.snapshot, sign);
  return snapshot ? [snapshot, timestamp] : [timestamp];
}

/** Undefined when a client makes the snapshots and the present one still holds. */
function renewSnapshot(input: RenewalInput, { root, snapshot }: Current): MetadataFile | undefined {
  const { sign, now, policy = DEFAULT_POLICY } = input;
  const signers: readonly KeyId[] | undefined = findSigners(root.roles.snapshot, input.serverKeys.snapshot);
  if (signers === undefined) {
    verifyNotExpired(snapshot, SNAPSHOT, now);
    return undefined;
  }
  const meta = new Map(snapshot.meta).set(ROOT, toFileMeta(root.bytes));
  return produce("snapshot", { root, meta, signers, now, ...next(snapshot, policy.snapshotLifeSeconds) }, sign);
}

const ends = ({ expiresAt }: { readonly expiresAt: Date }, before: Date): boolean =>
  expiresAt.getTime() < before.getTime();

function next(file: Snapshot | Timestamp, lifeSeconds: number) {
  return { version: file.version + 1, previousExpiresAt: file.expiresAt, lifeSeconds };
}
