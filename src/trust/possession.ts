import { type Key, verifySignature } from "../notary/tuf/key.ts";

/** What somebody who proves to hold a key signs: for whom, with which key, and to which server. */
export interface PossessionClaim {
  /** Origin of the server's public URL: what one server was told proves nothing to another. */
  readonly server: string;
  readonly user: string;
  /** Hex SHA-256 of the key's DER SubjectPublicKeyInfo. */
  readonly spkiSha256: string;
  /** 32 bytes of the server's, hex. */
  readonly challenge: string;
}

/**
 * One line each, and a first line that no other thing signed with such a key can begin with: trust data, DSSE and cosign's
 * payloads begin with `{` or `DSSEv1`. So neither does this sign anything else, nor is anything else a proof.
 */
export function possessionMessage({ server, user, spkiSha256, challenge }: PossessionClaim): Buffer {
  const fields = [server, user, spkiSha256, challenge];
  // A field that went on in a second line could say what the next one should.
  if (!fields.every((field) => /^[\x21-\x7e]+$/.test(field)))
    throw new Error("a field of a possession claim is no word");
  const names = ["server", "user", "key-sha256", "challenge"];
  const lines = names.map((name, index) => `${name}: ${fields[index]}\n`);
  return Buffer.from(`goldseal proof of possession of a key, v1\n${lines.join("")}`);
}

/** @param method as in trust data: `ecdsa` (raw r‖s), `rsapss`, `rsapkcs1v15`, `eddsa` */
export function verifyPossession(
  key: Key,
  claim: PossessionClaim,
  { method, signature }: { readonly method: string; readonly signature: Uint8Array },
): boolean {
  return verifySignature(key, method, possessionMessage(claim), signature);
}
