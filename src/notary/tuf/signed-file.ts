import { createHash } from "node:crypto";
import { type Json, JsonError, type JsonObject, parseJson } from "../../oci/json.ts";
import { toCanonical, toWireText } from "./canonical-json.ts";
import { VerificationError } from "./error.ts";
import { readArray, readBase64, readInteger, readObject, readString, readTime } from "./fields.ts";

export interface Signature {
  readonly keyId: string;
  readonly method: string;
  readonly sig: Uint8Array;
}

/** A file as received, with what every role has. Nothing in it is verified yet. */
export interface SignedFile {
  readonly bytes: Uint8Array;
  /** What the signatures are about; without members when the file has none. */
  readonly signed: JsonObject;
  /** What is signed: the canonical form of `signed`. */
  readonly message: Uint8Array;
  readonly signatures: readonly Signature[];
  readonly type: string;
  readonly version: number;
  /** As it stands in the file, with its nanoseconds. */
  readonly expires: string;
  readonly expiresAt: Date;
}

/**
 * `{"signed": …, "signatures": […]}` and nothing beside: a further member would be stored without anybody's signature
 * (Cure53 TUF-01-001, hardening N04), and `Signed` is `signed` to a Go client (T19).
 * @throws VerificationError MALFORMED
 */
export function parseSignedFile(bytes: Uint8Array): SignedFile {
  const file = readObject(parse(bytes), "the file", []);
  for (const key of Object.keys(file)) {
    if (key !== "signed" && key !== "signatures") {
      throw new VerificationError("MALFORMED", `the file has a member ${JSON.stringify(key.slice(0, 32))}`);
    }
  }
  const signed = readSigned(file.signed);
  return {
    bytes,
    signed,
    message: toCanonical(signed),
    signatures: readArray(file.signatures, "signatures").map(readSignature),
    type: readString(signed._type, "_type"),
    version: readInteger(signed.version, "version"),
    expires: readString(signed.expires, "expires"),
    expiresAt: readTime(signed.expires, "expires"),
  };
}

/** The exact bytes that Go's clients and servers write for a file. `message` is the canonical form of `signed`. */
export function toFileBytes(message: Uint8Array, signatures: readonly Signature[]): Buffer {
  const list = signatures.map(
    ({ keyId, method, sig }) =>
      `{"keyid":"${keyId}","method":"${method}","sig":"${Buffer.from(sig).toString("base64")}"}`,
  );
  return Buffer.from(`{"signed":${toWireText(message)},"signatures":[${list.join(",")}]}`);
}

export const sha256Of = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
export const sha512Of = (bytes: Uint8Array): Buffer => createHash("sha512").update(bytes).digest();

function parse(bytes: Uint8Array): Json {
  try {
    return parseJson(bytes);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new VerificationError("MALFORMED", `not JSON: ${cause.message}`, { cause });
  }
}

function readSigned(value: Json | undefined): JsonObject {
  if (value === undefined || value === null) return {};
  return readObject(value, "signed", ["_type", "version", "expires"]);
}

function readSignature(value: Json): Signature {
  const signature = readObject(value, "a signature", []);
  for (const key of Object.keys(signature)) {
    if (!["keyid", "method", "sig"].includes(key)) {
      throw new VerificationError("MALFORMED", `a signature has a member ${JSON.stringify(key.slice(0, 32))}`);
    }
  }
  return {
    keyId: readString(signature.keyid, "keyid"),
    method: readString(signature.method, "method"),
    sig: readBase64(signature.sig, "sig"),
  };
}
