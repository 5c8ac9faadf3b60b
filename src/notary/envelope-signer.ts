import type { EnvelopeSigner } from "../trust/dsse.ts";
import { toDerEcdsa } from "../trust/ecdsa-der.ts";
import type { OpenSigner } from "./org-signers-store.ts";
import { canonicalKeyId } from "./tuf/key.ts";

/** The server's key for an organization, for statements in DSSE, which carries ECDSA in DER. */
export function toEnvelopeSigner({ key, sign }: OpenSigner): EnvelopeSigner {
  return { keyId: canonicalKeyId(key), sign: (message) => toDerEcdsa(sign(message).sig) };
}
