import { createCipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import { integer, octets, oid, sequence } from "../../notary/tuf/der.ts";

const ITERATIONS = 2048;
const OID = {
  pbes2: "2a864886f70d01050d",
  pbkdf2: "2a864886f70d01050c",
  aes256Cbc: "60864801650304012a",
} as const;

/**
 * PKCS#8 under a passphrase, as notary 0.7 writes it: PBES2 with PBKDF2 over HMAC-SHA-1 (2,048 rounds, 8 bytes of salt) and
 * AES-256-CBC. It reads nothing else: node's own export names HMAC-SHA-256, which notary passes over and then takes the
 * passphrase for a wrong one.
 * @returns DER EncryptedPrivateKeyInfo
 * @see RFC 8018 section 6.2, RFC 5958 section 3
 */
export function encryptPkcs8(pkcs8: Uint8Array, passphrase: string): Buffer {
  const [salt, iv] = [randomBytes(8), randomBytes(16)];
  const cipher = createCipheriv("aes-256-cbc", pbkdf2Sync(passphrase, salt, ITERATIONS, 32, "sha1"), iv);
  const encrypted = Buffer.concat([cipher.update(pkcs8), cipher.final()]);
  const derivation = sequence(oid(OID.pbkdf2), sequence(octets(salt), integer(uint16(ITERATIONS))));
  const scheme = sequence(oid(OID.aes256Cbc), octets(iv));
  return sequence(sequence(oid(OID.pbes2), sequence(derivation, scheme)), octets(encrypted));
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
