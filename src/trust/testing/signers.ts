import { sign } from "node:crypto";
import { canonicalKeyId, spkiOf } from "../../notary/tuf/key.ts";
import { ecdsaKey, type TestKey } from "../../notary/tuf/testing/test-key.ts";
import type { EnvelopeSigner } from "../dsse.ts";

/** Signs as cosign and our own command line do: DER for ECDSA, PKCS #1 v1.5 for RSA. */
export function signDetached({ privateKey }: TestKey, message: Uint8Array): Buffer {
  return sign(privateKey.asymmetricKeyType === "ed25519" ? null : "sha256", message, privateKey);
}

export const signerOf = (pair: TestKey): EnvelopeSigner => ({
  keyId: canonicalKeyId(pair.key),
  sign: (message) => signDetached(pair, message),
});

export function spkiOfPair({ key }: TestKey): string {
  const spki = spkiOf(key);
  if (spki === undefined) throw new Error("a test key that verifies nothing");
  return spki;
}

export const spkiText = ({ publicKey }: TestKey): string =>
  publicKey.export({ format: "der", type: "spki" }).toString("base64");

export const [alice, bob, carol, mallory] = [ecdsaKey(), ecdsaKey(), ecdsaKey(), ecdsaKey()] as const;
