import { sign } from "node:crypto";
import { canonicalKeyId } from "../../notary/tuf/key.ts";
import type { EnvelopeSigner } from "../../trust/dsse.ts";
import type { SigningKey } from "./signing-key.ts";

/** Signs DSSE envelopes as `verifyDetached` reads them: ECDSA in DER and RSA PKCS #1 v1.5 over SHA-256, and Ed25519. */
export function toEnvelopeSigner({ key, privateKey }: SigningKey): EnvelopeSigner {
  const algorithm = key.type === "ed25519" ? undefined : "sha256";
  return { keyId: canonicalKeyId(key), sign: (message) => sign(algorithm, message, privateKey) };
}
