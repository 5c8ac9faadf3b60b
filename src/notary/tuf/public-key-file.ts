import { createPublicKey, type KeyObject } from "node:crypto";
import { JsonError, parseJson } from "../../oci/json.ts";
import { parseCertificates } from "./certificate.ts";
import { VerificationError } from "./error.ts";
import { type Key, makeKey, readKey } from "./key.ts";

export interface PublicKeyFile {
  readonly key: Key;
  /** What docker wrote into it: the name of `docker trust key generate NAME`. */
  readonly role: string | undefined;
}

const PEM =
  /^\s*-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\r?\n((?:[A-Za-z-]+: [^\r\n]*\r?\n)*)([A-Za-z0-9+/= \t\r\n]+)-----END \1-----\s*$/;

/**
 * What people keep public keys in: PEM `PUBLIC KEY` (docker's NAME.pub has a header `role`), PEM `CERTIFICATE`, whose first
 * one has the key, or the JSON of a TUF file. The key is one that can verify; weak ones are refused.
 * @throws VerificationError MALFORMED, KEY
 */
export function parsePublicKeyFile(text: string): PublicKeyFile {
  if (/PRIVATE KEY-----/.test(text)) throw malformed("this is a private key; what is asked for is its public half");
  const found = readFile(text);
  // Here is where a weak key is refused.
  found.key.getMaterial();
  return found;
}

function readFile(text: string): PublicKeyFile {
  if (/^\s*\{/.test(text)) return { key: readJson(text), role: undefined };
  if (/^\s*-----BEGIN CERTIFICATE-----/.test(text)) return { key: fromCertificate(text), role: undefined };
  const [, label, headers = "", base64 = ""] = PEM.exec(text) ?? [];
  if (label !== "PUBLIC KEY") throw malformed("not PEM of a PUBLIC KEY or CERTIFICATE, nor the JSON of a TUF key");
  return { key: fromSpki(base64.replace(/\s/g, "")), role: /^role: (.*?)\r?$/m.exec(headers)?.[1] };
}

function readJson(text: string): Key {
  try {
    return readKey(parseJson(Buffer.from(text)));
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw malformed(`not good JSON: ${cause.message}`, cause);
  }
}

/** As Go writes the first certificate: then docker makes the same key id of it. */
function fromCertificate(text: string): Key {
  const [leaf] = parseCertificates(Buffer.from(text));
  if (leaf === undefined) throw malformed("no certificate");
  const lines = leaf.raw.toString("base64").match(/.{1,64}/g) ?? [];
  const pem = ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
  const isRsa = kindOf(() => leaf.publicKey) === "rsa";
  return makeKey(isRsa ? "rsa-x509" : "ecdsa-x509", Buffer.from(pem));
}

const FAMILY: Readonly<Record<string, string>> = { ec: "ecdsa", rsa: "rsa", ed25519: "ed25519" };

function fromSpki(base64: string): Key {
  const der = Buffer.from(base64, "base64");
  if (der.toString("base64") !== base64) throw malformed("the PEM is not base64");
  return keyOfSpki(der);
}

/**
 * The key in a DER SubjectPublicKeyInfo. Whether it can verify is the key's to say.
 * @throws VerificationError KEY
 */
export function keyOfSpki(der: Buffer): Key {
  const kind = kindOf(() => createPublicKey({ key: der, format: "der", type: "spki" }));
  const type = FAMILY[kind] ?? kind;
  // The 32 bytes end the structure.
  return makeKey(type, type === "ed25519" ? der.subarray(-32) : der);
}

/** `ec`, `rsa`, `ed25519`, or what else OpenSSL calls it. */
function kindOf(read: () => KeyObject): string {
  try {
    return read().asymmetricKeyType ?? "unknown";
  } catch (cause) {
    throw new VerificationError("KEY", "it holds no key that can be read", { cause });
  }
}

function malformed(message: string, cause?: unknown): VerificationError {
  return new VerificationError("MALFORMED", message, cause === undefined ? {} : { cause });
}
