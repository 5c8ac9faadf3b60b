import { UpdateError, VerificationError } from "./error.ts";
import { ancestorsOf, isRoleName, levelOf, ROOT, type RoleName, SNAPSHOT, TIMESTAMP } from "./names.ts";
import { DEFAULT_POLICY, type UpdatePolicy } from "./policy.ts";
import { parseSignedFile, type SignedFile } from "./signed-file.ts";

export interface UploadedPart {
  /** The role, perhaps with `.json` after it. */
  readonly filename: string | undefined;
  readonly bytes: Uint8Array;
}

/** A part that could be read; whether it may be published is not judged yet. */
export interface Part {
  readonly role: RoleName;
  readonly file: SignedFile;
}

/**
 * What an upload consists of, in its order. No part at all is legal: a client that has nothing new asks for a fresh
 * snapshot and timestamp so.
 *
 * One part for each role: with two, one checker could look at the first and a store keep the last (hardening T02, T21).
 * @throws UpdateError NO_FILENAME, INVALID_ROLE, MALFORMED_JSON, MALFORMED_UPLOAD
 * @see docs/decisions/0010, step B
 */
export function readParts(parts: readonly UploadedPart[], policy: UpdatePolicy = DEFAULT_POLICY): readonly Part[] {
  if (parts.length > policy.maxParts) throw new UpdateError("MALFORMED_UPLOAD", `more than ${policy.maxParts} files`);
  const read: Part[] = [];
  for (const { filename, bytes } of parts) {
    const role = readRole(filename, policy);
    const file = readFile(bytes);
    if (read.some((part) => part.role === role)) throw new UpdateError("MALFORMED_UPLOAD", `two files for ${role}`);
    read.push({ role, file });
  }
  return read;
}

/**
 * The roles whose current files {@link judgeUpdate} must be given, where there are any: what always counts, what is
 * uploaded and its ancestors, and what a client's snapshot names.
 */
export function rolesNeeded(parts: readonly Part[]): ReadonlySet<RoleName> {
  const roles = new Set<RoleName>([ROOT, SNAPSHOT, TIMESTAMP]);
  for (const { role, file } of parts) {
    for (const needed of [...ancestorsOf(role), role]) roles.add(needed);
    if (role === SNAPSHOT) for (const name of namesInMeta(file)) roles.add(name);
  }
  return roles;
}

/**
 * Those of `rolesNeeded(parts)` whose bytes are looked at. Not the file that an uploaded one follows: its version is enough,
 * and it may be large.
 */
export function contentsNeeded(parts: readonly Part[]): ReadonlySet<RoleName> {
  const uploaded = new Set(parts.map(({ role }) => role));
  return new Set(
    [...rolesNeeded(parts)].filter((role) => role === ROOT || (role !== TIMESTAMP && !uploaded.has(role))),
  );
}

function readRole(filename: string | undefined, { maxLevels }: UpdatePolicy): RoleName {
  const name = filename?.replace(/\.json$/, "") ?? "";
  if (name === "") throw new UpdateError("NO_FILENAME");
  if (!isRoleName(name) || levelOf(name) > maxLevels) throw new UpdateError("INVALID_ROLE", name.slice(0, 1024));
  return name;
}

function readFile(bytes: Uint8Array): SignedFile {
  try {
    return parseSignedFile(bytes);
  } catch (error) {
    if (error instanceof VerificationError) throw new UpdateError("MALFORMED_JSON", undefined, error);
    throw error;
  }
}

function namesInMeta({ signed: { meta } }: SignedFile): RoleName[] {
  return typeof meta === "object" && meta !== null ? Object.keys(meta).filter(isRoleName) : [];
}
