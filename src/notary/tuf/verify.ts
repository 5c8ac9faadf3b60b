import { isSoundCertificate } from "./certificate.ts";
import { VerificationError } from "./error.ts";
import { type Key, spkiOf, verifySignature } from "./key.ts";
import type { KeyId, RoleName } from "./names.ts";
import type { Signature, SignedFile } from "./signed-file.ts";

/** Who may sign a role, and how many of them must. */
export interface RoleKeys {
  readonly keyIds: readonly KeyId[];
  readonly threshold: number;
  /** By the id that the file gives them; whether that is theirs is checked when they are used. */
  readonly keys: ReadonlyMap<KeyId, Key>;
}

/** An honest file has one signature for each key; 100,000 are an attempt to keep us busy (hardening N10). */
export const MAX_SIGNATURES = 64;

/**
 * The role's keys signed `file` to its threshold. Keys are counted, not signatures and not key ids: one key that signs
 * twice (CVE-2020-6174), or that is listed bare and in a certificate (GHSA-3633-5h82-39pq), is one.
 * @throws VerificationError THRESHOLD, KEY, LIMIT
 * @see TUF 1.0 section 5.3.4; hardening T01, T15, N06, N07
 */
export function verifyRole(file: Pick<SignedFile, "message" | "signatures">, role: string, keys: RoleKeys): void {
  if (file.signatures.length === 0) throw new VerificationError("THRESHOLD", "tuf: data has no signatures");
  if (file.signatures.length > MAX_SIGNATURES) {
    throw new VerificationError("LIMIT", `${role} has more than ${MAX_SIGNATURES} signatures`);
  }
  // A threshold below one would be met by nobody's signature (CVE-2026-23992, hardening N08).
  if (!(keys.threshold >= 1) || findSignersOf(file, keys).length < keys.threshold) {
    throw new VerificationError("THRESHOLD", `valid signatures did not meet threshold for ${role}`);
  }
}

/** The keys of `role` that signed `file`, each once. @throws VerificationError KEY */
export function findSignersOf(
  { signatures, message }: Pick<SignedFile, "message" | "signatures">,
  role: RoleKeys,
): readonly Key[] {
  const signers = new Map<string, Key>();
  for (const signature of signatures) {
    const key = findKey(signature, role);
    const spki = key && spkiOf(key);
    if (key === undefined || spki === undefined || signers.has(spki)) continue;
    if (verifySignature(key, signature.method, message, signature.sig)) signers.set(spki, key);
  }
  return [...signers.values()];
}

/** @throws VerificationError KEY when the key under this id is another's (hardening T15) */
function findKey({ keyId }: Signature, role: RoleKeys): Key | undefined {
  const id = role.keyIds.find((listed) => listed === keyId);
  const key = id && role.keys.get(id);
  if (key && key.id !== id) throw new VerificationError("KEY", "key ID is not valid for key content");
  return key;
}

/**
 * No key of a delegation is a certificate signed with SHA-1 or older. Its dates are not looked at.
 * @throws VerificationError KEY
 */
export function verifyDelegationCertificates(role: RoleName, { keyIds, keys }: RoleKeys): void {
  for (const id of keyIds) {
    const leaf = keys.get(id)?.findMaterial()?.leaf;
    if (leaf && !isSoundCertificate(leaf)) {
      throw new VerificationError("KEY", `${role} has a certificate with a weak signature`);
    }
  }
}

/** @throws VerificationError EXPIRED */
export function verifyNotExpired(file: SignedFile, role: RoleName, now: Date): void {
  if (file.expiresAt.getTime() >= now.getTime()) return;
  throw new VerificationError("EXPIRED", `${role} expired at ${toGoDate(file.expiresAt)}`, {
    expired: { role, expires: file.expires },
  });
}

/** `Mon Jan 2 15:04:05 UTC 2006`: how upstream prints a date in its messages. */
function toGoDate(date: Date): string {
  const [weekday, day, month, year, time] = date.toUTCString().replace(",", "").split(" ");
  return `${weekday} ${month} ${Number(day)} ${time} UTC ${year}`;
}
