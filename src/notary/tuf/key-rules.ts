import { VerificationError } from "./error.ts";
import { type Key, spkiOf } from "./key.ts";
import { BASE_ROLES, type KeyId } from "./names.ts";
import type { RoleKeys } from "./verify.ts";

const KNOWN_TYPES: readonly string[] = ["ecdsa", "ecdsa-x509", "rsa", "rsa-x509", "ed25519"];

/**
 * What a file says about keys must be sound, also for the readers that do not count keys as we do.
 * @param owner the role whose file it is
 * @throws VerificationError KEY, STRUCTURE
 */
export function refuseWeakDefinitions(
  owner: string,
  keys: ReadonlyMap<KeyId, Key>,
  roles: readonly (readonly [string, RoleKeys])[],
): void {
  for (const [id, key] of keys) {
    // T15: a key under another key's name is counted once more by whoever does not compute the name.
    if (key.id !== id) throw new VerificationError("KEY", `${owner}: key ID ${id} is not valid for key content`);
  }
  for (const [name, role] of roles) {
    refuseWeakKeys(name, role);
    refuseUnreachableThreshold(name, role);
  }
}

/**
 * T20, L01: a short modulus, a small exponent, an odd curve, a point of small order (one signature fits everything).
 * Such a key counts for nothing here, but it would elsewhere. Types that nobody knows count nowhere and may stand.
 */
function refuseWeakKeys(role: string, { keyIds, keys }: RoleKeys): void {
  for (const id of keyIds) {
    const key = keys.get(id);
    if (!key || !KNOWN_TYPES.includes(key.type)) continue;
    try {
      key.getMaterial();
    } catch (cause) {
      if (!(cause instanceof VerificationError)) throw cause;
      throw new VerificationError("KEY", `key ${id} of ${role}: ${cause.message}`, { cause });
    }
  }
}

/**
 * N07, GHSA-3633-5h82-39pq: one key under two ids meets a threshold of two alone. Also T15: one id listed twice. Looked at
 * before signatures are counted, so that the answer names the two.
 * @throws VerificationError KEY
 */
export function refuseSameKeyTwice(role: string, { keyIds, keys }: RoleKeys): void {
  const seen = new Map<string, KeyId>();
  for (const id of keyIds) {
    const key = keys.get(id);
    const identity = (key && spkiOf(key)) ?? id;
    const other = seen.get(identity);
    if (other !== undefined) throw new VerificationError("KEY", `${role} lists one key twice: ${other} and ${id}`);
    seen.set(identity, id);
  }
}

/**
 * N08: a threshold that its keys can never meet. A delegation without keys is honest: docker leaves `targets/releases` so
 * when its last signer goes.
 */
function refuseUnreachableThreshold(role: string, { keyIds, threshold }: RoleKeys): void {
  const mayBeEmpty = !(BASE_ROLES as readonly string[]).includes(role);
  if (keyIds.length >= threshold || (mayBeEmpty && keyIds.length === 0)) return;
  throw new VerificationError(
    "STRUCTURE",
    `invalid threshold specified for ${role}: ${threshold} of ${keyIds.length} keys`,
  );
}
