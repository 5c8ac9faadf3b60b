import { type Key, verifySignature } from "../notary/tuf/key.ts";
import { findRawEcdsa } from "./ecdsa-der.ts";

/**
 * Whether `key` made `sig` over `message` in the encodings that DSSE and cosign use: ECDSA in DER and RSA PKCS #1 v1.5, both
 * with SHA-256, and Ed25519. What verifies is the key's own verifier.
 */
export function verifyDetached(key: Key, message: Uint8Array, sig: Uint8Array): boolean {
  const material = key.findMaterial();
  if (material === undefined) return false;
  if (material.family === "ed25519") return verifySignature(key, "eddsa", message, sig);
  if (material.family === "rsa") return verifySignature(key, "rsapkcs1v15", message, sig);
  const raw = findRawEcdsa(sig, material.signatureLength / 2);
  return raw !== undefined && verifySignature(key, "ecdsa", message, raw);
}
