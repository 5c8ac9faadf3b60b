import { createHash, verify } from "node:crypto";
import type { Json, JsonObject } from "../../oci/json.ts";
import { toCanonical } from "./canonical-json.ts";
import { VerificationError } from "./error.ts";
import { readBase64, readObject, readString } from "./fields.ts";
import { type KeyMaterial, openKey } from "./key-material.ts";
import type { KeyId } from "./names.ts";

/**
 * A public key as the files carry it. Unknown types and broken contents are keys too: they never verify anything.
 * @see docs/decisions/0010, "Keys"
 */
export class Key {
  /** `ecdsa`, `ecdsa-x509`, `rsa`, `rsa-x509`, `ed25519`, or anything else. */
  readonly type: string;
  /** DER SubjectPublicKeyInfo, PEM certificates, or the 32 bytes of an Ed25519 key. */
  readonly publicBytes: Buffer;
  readonly id: KeyId;
  #material: KeyMaterial | VerificationError | undefined;

  constructor(type: string, publicBytes: Uint8Array) {
    this.type = type;
    this.publicBytes = Buffer.from(publicBytes);
    this.id = keyIdOf(type, this.publicBytes);
  }

  /** @throws VerificationError KEY that says why this key cannot verify anything */
  getMaterial(): KeyMaterial {
    this.#material ??= tryOpen(this);
    if (this.#material instanceof VerificationError) throw this.#material;
    return this.#material;
  }

  findMaterial(): KeyMaterial | undefined {
    this.#material ??= tryOpen(this);
    return this.#material instanceof VerificationError ? undefined : this.#material;
  }
}

export function makeKey(type: string, publicBytes: Uint8Array): Key {
  return new Key(type, publicBytes);
}

/** @throws VerificationError MALFORMED */
export function readKey(value: Json): Key {
  const { keytype, keyval } = readObject(value, "a key", ["keytype", "keyval"]);
  const { public: publicText, private: privateHalf } = readObject(keyval, "keyval", ["public", "private"]);
  if (privateHalf !== undefined && privateHalf !== null) {
    throw new VerificationError("MALFORMED", "a key carries its private half");
  }
  return new Key(readString(keytype, "keytype"), readBase64(publicText, "a public key"));
}

/** The body of the `.key` routes. */
export function keyJson(key: Key): string {
  const type = toCanonical(key.type).toString();
  return `{"keytype":${type},"keyval":{"public":"${key.publicBytes.toString("base64")}","private":null}}`;
}

/**
 * Who the key is, across its forms: hex SHA-256 of its DER SubjectPublicKeyInfo in the one normal spelling. One key may
 * have many key ids (bare, in a certificate, in a certificate with a blank more) and still is one key (hardening N07).
 * Undefined for a key that never verifies.
 */
export function spkiOf(key: Key): string | undefined {
  return key.findMaterial()?.spkiSha256;
}

/** The key without the certificate that it came in; one that can verify nothing stays what it is. */
export function bareKeyOf(key: Key): Key {
  const material = key.findMaterial();
  return material?.leaf === undefined ? key : new Key(material.family, material.spki);
}

/** The id of the bare key inside a certificate; of other keys their own. Clients show it and name key files by it. */
export function canonicalKeyId(key: Key): KeyId {
  return bareKeyOf(key).id;
}

/**
 * The verifier comes from the key, never from what the signature calls itself; `method` may only agree with it
 * (NCC 2015 #1, hardening N01).
 */
export function verifySignature(key: Key, method: string, message: Uint8Array, sig: Uint8Array): boolean {
  const material = key.findMaterial();
  const options = material?.methods[method.toLowerCase()];
  if (material === undefined || options === undefined || sig.length !== material.signatureLength) return false;
  const algorithm = material.family === "ed25519" ? undefined : "sha256";
  return verify(algorithm, message, { key: material.publicKey, ...options }, sig);
}

function tryOpen(key: Key): KeyMaterial | VerificationError {
  try {
    return openKey(key.type, key.publicBytes);
  } catch (error) {
    if (error instanceof VerificationError) return error;
    throw error;
  }
}

/** `private` is always there and always null, whatever the file says. */
function keyIdOf(type: string, publicBytes: Buffer): KeyId {
  const value: JsonObject = { keytype: type, keyval: { private: null, public: publicBytes.toString("base64") } };
  return createHash("sha256").update(toCanonical(value)).digest("hex") as KeyId;
}
