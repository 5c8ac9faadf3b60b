import { type Json, parseJson } from "../../oci/json.ts";
import { VerificationError } from "./error.ts";
import { readArray, readEntries, readObject, readOptionalObject, readString } from "./fields.ts";
import { type FileMeta, readFileMeta } from "./file-meta.ts";
import type { Key } from "./key.ts";
import {
  BASE_ROLES,
  type BaseRole,
  isDelegationName,
  type KeyId,
  parentOf,
  ROOT,
  type RoleName,
  SNAPSHOT,
  TIMESTAMP,
} from "./names.ts";
import { readKeys, readRoleKeys } from "./role-keys.ts";
import { parseSignedFile, type SignedFile } from "./signed-file.ts";
import type { RoleKeys } from "./verify.ts";

export interface Root extends SignedFile {
  /** Also the certificates of former root keys, which no role names any more. */
  readonly keys: ReadonlyMap<KeyId, Key>;
  readonly roles: Readonly<Record<BaseRole, RoleKeys>>;
}

export interface Delegation extends RoleKeys {
  readonly name: RoleName;
  /** Prefixes of target names, not patterns: `v1` is also `v10`, and `""` everything. */
  readonly paths: readonly string[];
}

export interface TargetFile extends FileMeta {
  readonly custom: Json | undefined;
}

/** `targets`, or a delegation. */
export interface Targets extends SignedFile {
  /** By target name: for an image its tag. */
  readonly targets: ReadonlyMap<string, TargetFile>;
  readonly delegationKeys: ReadonlyMap<KeyId, Key>;
  readonly delegations: readonly Delegation[];
}

export interface Snapshot extends SignedFile {
  /** By role. Entries of removed delegations stay. */
  readonly meta: ReadonlyMap<string, FileMeta>;
}

export interface Timestamp extends SignedFile {
  readonly snapshot: FileMeta;
}

/** 100 former root certificates are many; 10,000 keys are an attempt to keep us busy (hardening N10). */
const MAX_ENTRIES = 1024;

/** @throws VerificationError */
export const parseRoot = (bytes: Uint8Array): Root => toRoot(parseSignedFile(bytes));
/** @throws VerificationError */
export const parseTargets = (bytes: Uint8Array, role: RoleName): Targets => toTargets(parseSignedFile(bytes), role);
/** @throws VerificationError */
export const parseSnapshot = (bytes: Uint8Array): Snapshot => toSnapshot(parseSignedFile(bytes));
/** @throws VerificationError */
export const parseTimestamp = (bytes: Uint8Array): Timestamp => toTimestamp(parseSignedFile(bytes));

/** @throws VerificationError STRUCTURE, MALFORMED, LIMIT */
export function toRoot(file: SignedFile): Root {
  const signed = readObject(file.signed, "root", [
    "_type",
    "version",
    "expires",
    "keys",
    "roles",
    "consistent_snapshot",
  ]);
  checkHead(file, ROOT, "Root");
  const roles = readOptionalObject(signed.roles, "roles");
  for (const name of BASE_ROLES) {
    if (!roles[name]) throw invalid("root", `missing ${name} role specification`);
  }
  const keys = readKeys(limited(readEntries(signed.keys, "keys"), "root"));
  const role = (name: BaseRole): RoleKeys => readRoleKeys(roles[name] as Json, { owner: "root", name, keys });
  const [root, targets, snapshot, timestamp] = [role("root"), role("targets"), role("snapshot"), role("timestamp")];
  return { ...file, keys, roles: { root, targets, snapshot, timestamp } };
}

/** @throws VerificationError STRUCTURE, MALFORMED, LIMIT */
export function toTargets(file: SignedFile, role: RoleName): Targets {
  const signed = readObject(file.signed, role, ["_type", "version", "expires", "targets", "delegations"]);
  checkHead(file, role, "Targets");
  const { keys, roles } = readOptionalObject(signed.delegations, "delegations", ["keys", "roles"]);
  const delegationKeys = readKeys(limited(readEntries(keys, "delegation keys"), role));
  const list = limited(readArray(roles, "delegation roles"), role);
  return {
    ...file,
    targets: new Map(readEntries(signed.targets, "targets").map(([name, entry]) => [name, readTargetFile(entry)])),
    delegationKeys,
    delegations: list.map((entry) => readDelegation(entry, role, delegationKeys)),
  };
}

/**
 * Only the targets that a file names, by their names; of one that was verified when it was stored.
 * @throws VerificationError STRUCTURE, MALFORMED
 */
export function readTargetFiles(bytes: Uint8Array): ReadonlyMap<string, FileMeta> {
  const { signed } = readObject(parseJson(bytes), "the file", []);
  const { targets } = readObject(signed, "signed", ["targets"]);
  return new Map(readEntries(targets, "targets").map(([name, entry]) => [name, readFileMeta(entry, "a target")]));
}

/** @throws VerificationError STRUCTURE, MALFORMED, LIMIT */
export function toSnapshot(file: SignedFile): Snapshot {
  const meta = readMeta(file, SNAPSHOT, "Snapshot");
  for (const role of ["root", "targets"]) requireSha256(meta, role, "snapshot");
  return { ...file, meta };
}

/** @throws VerificationError STRUCTURE, MALFORMED, LIMIT */
export function toTimestamp(file: SignedFile): Timestamp {
  const meta = readMeta(file, TIMESTAMP, "Timestamp");
  return { ...file, snapshot: requireSha256(meta, "snapshot", "timestamp") };
}

function readMeta(file: SignedFile, role: RoleName, type: string): ReadonlyMap<string, FileMeta> {
  const { meta } = readObject(file.signed, role, ["_type", "version", "expires", "meta"]);
  checkHead(file, role, type);
  return new Map(limited(readEntries(meta, "meta"), role).map(([name, entry]) => [name, readFileMeta(entry, name)]));
}

function requireSha256(meta: ReadonlyMap<string, FileMeta>, role: string, owner: string): FileMeta {
  const entry = meta.get(role);
  if (!entry?.hashes.has("sha256")) throw invalid(owner, `missing ${role} sha256 checksum information`);
  return entry;
}

function readTargetFile(value: Json): TargetFile {
  const { custom } = readObject(value, "a target", ["length", "hashes", "custom"]);
  return { ...readFileMeta(value, "a target"), custom };
}

/** A delegation may only name its own direct children: no cycle, and nobody speaks for a stranger's role (T16). */
function readDelegation(value: Json, owner: RoleName, keys: ReadonlyMap<KeyId, Key>): Delegation {
  const entry = readObject(value, "a delegation", ["keyids", "name", "paths", "threshold"]);
  const name = readString(entry.name, "a delegation's name");
  if (!isDelegationName(name) || parentOf(name) !== owner) {
    throw invalid(owner, `delegation role ${name.slice(0, 300)} invalid`);
  }
  const paths = readArray(entry.paths, "paths").map((path) => readString(path, "a path"));
  return { ...readRoleKeys(entry, { owner, name, keys }), name, paths };
}

function checkHead({ signed, type, version }: SignedFile, role: RoleName, expected: string): void {
  if (Object.keys(signed).length === 0) throw invalid(role, `${role} file contained an empty payload`);
  if (type !== expected) throw invalid(role, `expected type ${expected}, not ${type.slice(0, 64)}`);
  if (version < 1) throw invalid(role, "version cannot be less than one");
}

function limited<T>(entries: readonly T[], role: string): readonly T[] {
  if (entries.length <= MAX_ENTRIES) return entries;
  throw new VerificationError("LIMIT", `${role} lists more than ${MAX_ENTRIES} keys or roles`);
}

function invalid(role: string, why: string): VerificationError {
  return new VerificationError("STRUCTURE", `${role} type metadata invalid: ${why}`);
}
