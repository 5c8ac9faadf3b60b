import type { NewSignature } from "./signatures-store.ts";
import { digestOf } from "./tag-signatures.ts";
import { getDelegation } from "./tuf/delegation-walk.ts";
import type { FileMeta } from "./tuf/file-meta.ts";
import { canonicalKeyId, type Key, spkiOf } from "./tuf/key.ts";
import { readTargetFiles, type Targets } from "./tuf/metadata.ts";
import { type KeyId, type RoleName, TARGETS } from "./tuf/names.ts";
import { bytesOf, type JudgedUpdate, type StoredRole } from "./tuf/update.ts";
import { findSignersOf, type RoleKeys } from "./tuf/verify.ts";

/** What a stored file says of tags. */
export type ReadTags = (role: RoleName, stored: StoredRole) => ReadonlyMap<string, FileMeta>;

const readTags: ReadTags = (_, stored) => readTargetFiles(bytesOf(stored));

/** What the files of a publish say of tags, where the files before them said something else. */
export function signatureEvents(
  update: JudgedUpdate,
  stored: ReadonlyMap<RoleName, StoredRole>,
  read: ReadTags = readTags,
): NewSignature[] {
  return update.uploaded.flatMap(({ role, version }) => {
    const file = update.targets.get(role);
    if (file === undefined) return [];
    const before = stored.get(role);
    const changes = findChanges(before ? read(role, before) : new Map(), file.targets);
    if (changes.length === 0) return [];
    const signers = signersOf(update, role, file);
    return changes.map((change) => ({ ...change, ...signers, role, version }));
  });
}

type Change = Pick<NewSignature, "kind" | "tag" | "digest" | "previous">;

function findChanges(was: ReadonlyMap<string, FileMeta>, is: ReadonlyMap<string, FileMeta>): Change[] {
  const changes: Change[] = [];
  for (const [tag, file] of is) {
    const [digest, before] = [digestOf(file) ?? "", was.get(tag)];
    const previous = before === undefined ? "" : (digestOf(before) ?? "");
    if (before === undefined) changes.push({ kind: "signed", tag, digest, previous });
    else if (previous !== digest) changes.push({ kind: "re-signed", tag, digest, previous });
  }
  for (const [tag, file] of was) {
    if (!is.has(tag)) changes.push({ kind: "revoked", tag, digest: digestOf(file) ?? "", previous: "" });
  }
  return changes;
}

function signersOf({ root, targets }: JudgedUpdate, role: RoleName, file: Targets) {
  const keys = findKeys(file, role === TARGETS ? root.roles.targets : getDelegation(role, targets));
  return { keyIds: keys.map(canonicalKeyId), spkis: keys.flatMap((key) => spkiOf(key) ?? []) };
}

/** The file has met its threshold: a signature that is alone was verified then. */
function findKeys(file: Targets, role: RoleKeys): readonly Key[] {
  const [first, ...others] = file.signatures;
  const key = first === undefined || others.length > 0 ? undefined : role.keys.get(first.keyId as KeyId);
  return key === undefined ? findSignersOf(file, role) : [key];
}
