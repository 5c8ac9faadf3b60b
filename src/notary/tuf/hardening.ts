import { getDelegation, type VerifiedTargets } from "./delegation-walk.ts";
import { VerificationError } from "./error.ts";
import { verifyHashes } from "./file-hashes.ts";
import { refuseWeakDefinitions } from "./key-rules.ts";
import type { Root, Snapshot, Targets } from "./metadata.ts";
import { levelOf, ROOT, type RoleName, SNAPSHOT, TARGETS, TIMESTAMP } from "./names.ts";
import { refusedAs } from "./refusal.ts";
import type { SignedFile } from "./signed-file.ts";
import { bytesOf, type Judgement } from "./update.ts";

interface Judged {
  readonly root: Root;
  readonly targets: VerifiedTargets;
  readonly snapshot: Snapshot | undefined;
}

/**
 * What upstream takes and we do not, of the files in this push: each refusal names the attack it stops. None of them
 * meets a file that docker or notary make; docs/decisions/0010 lists where an answer differs from upstream's.
 * @throws UpdateError INVALID_UPDATE
 */
export function refuseWeakness(push: Judgement, { root, targets, snapshot }: Judged): void {
  if (push.files.has(ROOT)) {
    refusedAs("ErrBadRoot", () => {
      refuseOddLife(push, ROOT, root);
      refuseWeakDefinitions("root", root.keys, Object.entries(root.roles));
    });
  }
  for (const [role, file] of targets) {
    if (!push.files.has(role)) continue;
    refusedAs("ErrBadTargets", () => {
      refuseFastForward(push, role, file);
      refuseOddLife(push, role, file);
      refuseWeakDelegations(push, role, file);
      refuseWiderPaths(role, file, targets);
      refuseWithoutSha256(file);
    });
  }
  if (snapshot) refusedAs("ErrBadSnapshot", () => refuseWeakSnapshot(push, snapshot));
}

function refuseWeakSnapshot(push: Judgement, snapshot: Snapshot): void {
  refuseFastForward(push, SNAPSHOT, snapshot);
  refuseOddLife(push, SNAPSHOT, snapshot);
  refuseDangling(push, snapshot);
}

/** T05, N03 fast-forward: whoever once held the key pushes 2^31-1, and no honest version ever comes after it. */
function refuseFastForward({ stored, policy }: Judgement, role: RoleName, { version }: SignedFile): void {
  const highest = (stored.get(role)?.version ?? 0) + policy.maxVersionJump;
  if (version <= highest) return;
  throw new VerificationError("VERSION", `${role} version ${version} is too far ahead: at most ${highest}`);
}

/**
 * T05: what is valid for a hundred years cannot be taken back by letting it run out. T06 freeze: what is about to run
 * out stops every reader soon after.
 */
function refuseOddLife({ now, policy }: Judgement, role: RoleName, { expiresAt }: SignedFile): void {
  const seconds = (expiresAt.getTime() - now.getTime()) / 1000;
  const kind = role === ROOT ? "root" : role === SNAPSHOT ? "snapshot" : "targets";
  const most = policy.maxLifeSeconds[kind];
  if (seconds > most + policy.clockSkewSeconds) {
    throw new VerificationError("STRUCTURE", `${role} is valid too long: at most ${Math.round(most / 86_400)} days`);
  }
  if (seconds < policy.minLifeSeconds) {
    throw new VerificationError("STRUCTURE", `${role} is about to expire: sign it again`);
  }
}

/** T16: names that stand twice (which of the two counts?) and chains without end. */
function refuseWeakDelegations({ policy }: Judgement, role: RoleName, { delegations, delegationKeys }: Targets): void {
  const names = delegations.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new VerificationError("DELEGATION", `delegation ${twice} stands there twice`);
  if (delegations.length > 0 && levelOf(role) >= policy.maxLevels) {
    throw new VerificationError("DELEGATION", `${role} may not delegate: more than ${policy.maxLevels} levels`);
  }
  const definitions = delegations.map((delegation) => [delegation.name, delegation] as const);
  refuseWeakDefinitions(role, delegationKeys, definitions);
}

/** T24: a tag is bound to a manifest by its SHA-256; by another hash alone, no client could pull it and no reader judge it. */
function refuseWithoutSha256({ targets }: Targets): void {
  for (const [name, { hashes }] of targets) {
    if (hashes.has("sha256")) continue;
    throw new VerificationError("STRUCTURE", `target ${JSON.stringify(name.slice(0, 128))} has no sha256 checksum`);
  }
}

/**
 * T16, T14a: a delegate hands on what it was never given. Careful readers cut the child's paths down to the parent's;
 * for the others the server does. A parent without paths gives nothing that could be widened.
 */
function refuseWiderPaths(role: RoleName, { delegations }: Targets, targets: VerifiedTargets): void {
  if (role === TARGETS) return;
  const { paths: own } = getDelegation(role, targets);
  if (own.length === 0) return;
  for (const { name, paths } of delegations) {
    const wider = paths.find((path) => !own.some((prefix) => path.startsWith(prefix)));
    if (wider === undefined) continue;
    throw new VerificationError("DELEGATION", `${name}: path ${JSON.stringify(wider.slice(0, 64))} is not in ${role}`);
  }
}

/**
 * T03, T07: every entry of a client's snapshot is the very file that will be current beside it, length included. Upstream
 * takes entries that point nowhere or to older versions: a rollback of single roles, and readers that find nothing.
 */
function refuseDangling(push: Judgement, { meta }: Snapshot): void {
  for (const [name, entry] of meta) {
    const isFound = name !== SNAPSHOT && name !== TIMESTAMP;
    const bytes = isFound ? bytesBeside(push, name as RoleName) : undefined;
    if (bytes === undefined) {
      throw new VerificationError("MISMATCH", `snapshot names ${name.slice(0, 128)}, which is not there`);
    }
    verifyHashes(bytes, name, entry);
    if (entry.length !== bytes.length) {
      throw new VerificationError("MISMATCH", `length for ${name} did not match: expected ${bytes.length}`);
    }
  }
}

function bytesBeside({ files, stored }: Judgement, role: RoleName): Uint8Array | undefined {
  const current = stored.get(role);
  return files.get(role)?.bytes ?? (current && bytesOf(current));
}
