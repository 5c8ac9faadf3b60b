import { VerificationError } from "./error.ts";
import { type Key, makeKey } from "./key.ts";
import { ED25519_SPKI_HEAD } from "./key-material.ts";

/**
 * The key in a DER SubjectPublicKeyInfo, which says itself of which type it is.
 * @throws VerificationError KEY for what is not in its normal spelling, weak, or no ECDSA, RSA or Ed25519 key
 */
export function keyOfSpki(spki: Uint8Array): Key {
  const head = ED25519_SPKI_HEAD.length;
  const isEd25519 = spki.length === head + 32 && ED25519_SPKI_HEAD.equals(spki.subarray(0, head));
  const candidates = isEd25519
    ? [makeKey("ed25519", spki.subarray(head))]
    : [makeKey("ecdsa", spki), makeKey("rsa", spki)];
  const key = candidates.find((candidate) => candidate.findMaterial() !== undefined);
  if (key === undefined)
    throw new VerificationError("KEY", "not a public key (ECDSA, RSA or Ed25519) that can be used");
  return key;
}
