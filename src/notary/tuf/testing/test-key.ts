import { constants, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { type Key, makeKey } from "../key.ts";
import type { Signature } from "../signed-file.ts";
import { type CertificateOptions, makeCertificate } from "./certificate.ts";

/** A key pair in one of the forms that files carry it in. */
export interface TestKey {
  readonly key: Key;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly method: string;
}

type Pair = Pick<TestKey, "publicKey" | "privateKey">;

export function ecdsaKey(namedCurve = "prime256v1"): TestKey {
  return bare("ecdsa", "ecdsa", generateKeyPairSync("ec", { namedCurve }));
}

export function rsaKey(modulusLength = 2048, publicExponent = 65537): TestKey {
  return bare("rsa", "rsapss", generateKeyPairSync("rsa", { modulusLength, publicExponent }));
}

export function ed25519Key(): TestKey {
  const pair = generateKeyPairSync("ed25519");
  const raw = pair.publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return { ...pair, key: makeKey("ed25519", raw), method: "eddsa" };
}

/** The same pair under the id that its certificate gives it; `pem` may add to or change the text. */
export function inCertificate(
  pair: TestKey,
  options: Omit<CertificateOptions, "publicKey" | "privateKey">,
  change: (pem: string) => string = (pem) => pem,
): TestKey {
  const pem = change(makeCertificate({ ...options, publicKey: pair.publicKey, privateKey: pair.privateKey }));
  return { ...pair, key: makeKey(`${pair.key.type.split("-")[0]}-x509`, Buffer.from(pem)) };
}

/** The same pair, whose file carries other bytes or another type. */
export function disguised(pair: TestKey, type: string, publicBytes: Uint8Array = pair.key.publicBytes): TestKey {
  return { ...pair, key: makeKey(type, publicBytes) };
}

export function signWith({ key, privateKey, method }: TestKey, message: Uint8Array): Signature {
  return { keyId: key.id, method, sig: signBytes(privateKey, method, message) };
}

export function signBytes(privateKey: KeyObject, method: string, message: Uint8Array): Buffer {
  if (method === "eddsa") return sign(null, message, privateKey);
  if (method === "ecdsa") return sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" });
  const padding = method === "rsapss" ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  return sign("sha256", message, { key: privateKey, padding, ...(method === "rsapss" ? { saltLength: 32 } : {}) });
}

function bare(type: string, method: string, pair: Pair): TestKey {
  return { ...pair, key: makeKey(type, pair.publicKey.export({ format: "der", type: "spki" })), method };
}
