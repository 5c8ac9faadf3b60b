import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import nacl from "tweetnacl";

export const signingAlgorithms = ["ed25519", "ecdsa"] as const;
/** `ecdsa` is on P-256, with SHA-256. */
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

export interface NewSigningKey {
  readonly algorithm: SigningAlgorithm;
  /** Ed25519: the 32 bytes; ECDSA: DER SubjectPublicKeyInfo. */
  readonly publicBytes: Buffer;
  /** Ed25519: the seed of 32 bytes; ECDSA: PKCS #8. To be sealed. */
  readonly privateBytes: Buffer;
}

export interface Signature {
  readonly method: "eddsa" | "ecdsa";
  /** 64 bytes; of ECDSA r and s, each padded. */
  readonly sig: Uint8Array;
}

export type SignMessage = (message: Uint8Array) => Signature;

export function newSigningKey(algorithm: SigningAlgorithm): NewSigningKey {
  if (algorithm === "ed25519") {
    const seed = randomBytes(nacl.sign.seedLength);
    const { publicKey } = nacl.sign.keyPair.fromSeed(seed);
    return { algorithm, publicBytes: Buffer.from(publicKey), privateBytes: seed };
  }
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    algorithm,
    publicBytes: publicKey.export({ type: "spki", format: "der" }),
    privateBytes: privateKey.export({ type: "pkcs8", format: "der" }),
  };
}

export function openSigningKey(algorithm: SigningAlgorithm, privateBytes: Uint8Array): SignMessage {
  if (algorithm === "ed25519") {
    const key = toKey(Buffer.concat([ED25519_PKCS8, privateBytes]));
    // Ed25519 signatures are determined by key and message: tweetnacl makes the same bytes, a hundred times slower.
    return (message) => ({ method: "eddsa", sig: sign(null, message, key) });
  }
  const key = toKey(Buffer.from(privateBytes));
  return (message) => ({ method: "ecdsa", sig: sign("sha256", message, { key, dsaEncoding: "ieee-p1363" }) });
}

/** Over SHA-256 and in DER, as a certificate carries it. @param privateBytes of an ECDSA key */
export function signInDer(privateBytes: Uint8Array, message: Uint8Array): Buffer {
  return sign("sha256", message, toKey(Buffer.from(privateBytes)));
}

/** What stands before the seed in PKCS #8. @see RFC 8410 section 7 */
const ED25519_PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

function toKey(pkcs8: Buffer): KeyObject {
  return createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
}
