import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  type SigningOptions,
  type X509Certificate,
} from "node:crypto";
import { parseCertificates } from "./certificate.ts";
import { checkEd25519Point } from "./ed25519-point.ts";
import { VerificationError } from "./error.ts";

export type KeyFamily = "ecdsa" | "rsa" | "ed25519";

/** A key that can verify: everything that must hold for it has been checked. */
export interface KeyMaterial {
  readonly family: KeyFamily;
  readonly publicKey: KeyObject;
  /** DER SubjectPublicKeyInfo in the normal spelling: uncompressed point, named curve. */
  readonly spki: Buffer;
  readonly spkiSha256: string;
  /** The first certificate, which holds the key, and those after it. Undefined for a bare key. */
  readonly leaf: X509Certificate | undefined;
  readonly certificates: readonly X509Certificate[];
  /** Bytes of every signature this key makes. */
  readonly signatureLength: number;
  /** Method name → how `node:crypto` checks it. */
  readonly methods: Readonly<Record<string, SigningOptions>>;
}

/** Raw r‖s, each as long as the curve's numbers; SHA-256 on every curve. P-224 is left out (hardening T20). */
const CURVE_BYTES: Readonly<Record<string, number>> = { prime256v1: 32, secp384r1: 48, secp521r1: 66 };
/** By the bytes of the curve's numbers. */
const SPKI_BYTES: ReadonlyMap<number, number> = new Map([
  [32, 91],
  [48, 120],
  [66, 158],
]);
const [MIN_RSA_BITS, MAX_RSA_BITS, MIN_RSA_EXPONENT] = [2048, 8192, 65537n];
const ED25519_SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");

const METHODS: Readonly<Record<KeyFamily, Readonly<Record<string, SigningOptions>>>> = {
  ecdsa: nullProto({ ecdsa: { dsaEncoding: "ieee-p1363" } }),
  rsa: nullProto({
    rsapss: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
    rsapkcs1v15: { padding: constants.RSA_PKCS1_PADDING },
  }),
  ed25519: nullProto({ eddsa: {} }),
};

/**
 * @throws VerificationError KEY for an unknown type, contents that are no key of that type, and weak keys
 * @see hardening L01, T20: small order, short modulus, small exponent, odd curves
 */
export function openKey(type: string, publicBytes: Buffer): KeyMaterial {
  if (type === "ed25519") return finish("ed25519", readEd25519(publicBytes));
  if (type === "ecdsa" || type === "rsa") return finish(type, readBare(publicBytes));
  if (type === "ecdsa-x509") return fromCertificates("ecdsa", publicBytes);
  if (type === "rsa-x509") return fromCertificates("rsa", publicBytes);
  throw weak(`key type ${JSON.stringify(type.slice(0, 32))} is unknown`);
}

function readEd25519(raw: Buffer): KeyObject {
  checkEd25519Point(raw);
  return createPublicKey({ key: Buffer.concat([ED25519_SPKI_HEAD, raw]), format: "der", type: "spki" });
}

/** Only the normal spelling: a compressed point or a byte too many would make two key ids of one key (hardening M1). */
function readBare(der: Buffer): KeyObject {
  const key = attempt(() => createPublicKey({ key: der, format: "der", type: "spki" }), "not a DER public key");
  if (!normalSpki(key).equals(der)) throw weak("a public key is not in its normal DER form");
  return key;
}

function fromCertificates(family: KeyFamily, pem: Buffer): KeyMaterial {
  const certificates = parseCertificates(pem);
  const [leaf] = certificates;
  if (leaf === undefined) throw weak("no certificate");
  const key = attempt(() => leaf.publicKey, "a certificate holds no usable key");
  return { ...finish(family, key), leaf, certificates };
}

function finish(family: KeyFamily, publicKey: KeyObject): KeyMaterial {
  const signatureLength = checkStrength(family, publicKey);
  const spki = normalSpki(publicKey);
  return {
    family,
    publicKey,
    spki,
    spkiSha256: createHash("sha256").update(spki).digest("hex"),
    leaf: undefined,
    certificates: [],
    signatureLength,
    methods: METHODS[family],
  };
}

/** Returns the length of a signature. */
function checkStrength(family: KeyFamily, { asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): number {
  if (family === "ed25519") return 64;
  if (family === "rsa") return checkRsa(asymmetricKeyType, asymmetricKeyDetails);
  const bytes = CURVE_BYTES[asymmetricKeyDetails.namedCurve ?? ""];
  if (asymmetricKeyType !== "ec" || bytes === undefined) throw weak("not a key on P-256, P-384 or P-521");
  return 2 * bytes;
}

function checkRsa(
  type: string | undefined,
  { modulusLength = 0, publicExponent = 0n }: { modulusLength?: number; publicExponent?: bigint },
): number {
  if (type !== "rsa") throw weak("not an RSA key");
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS) {
    throw weak(`an RSA key of ${modulusLength} bits; ${MIN_RSA_BITS} to ${MAX_RSA_BITS} are taken`);
  }
  if (publicExponent < MIN_RSA_EXPONENT || publicExponent % 2n === 0n) {
    throw weak(`an RSA key with the public exponent ${String(publicExponent).slice(0, 16)}`);
  }
  return Math.ceil(modulusLength / 8);
}

/**
 * DER with an EC point uncompressed on its named curve, however it was written. Nearly every key is so already; the way
 * through JWK, which makes it so, costs more than checking a signature.
 */
function normalSpki(key: KeyObject): Buffer {
  const spki = key.export({ format: "der", type: "spki" });
  if (key.asymmetricKeyType !== "ec" || isNormalPoint(key, spki)) return spki;
  const jwk = attempt(() => key.export({ format: "jwk" }), "not a key on P-256, P-384 or P-521");
  return createPublicKey({ key: jwk, format: "jwk" }).export({ format: "der", type: "spki" });
}

/** The DER of a named curve has one length, and 4 before the point's two numbers says that both are there. */
function isNormalPoint({ asymmetricKeyDetails }: KeyObject, spki: Buffer): boolean {
  const bytes = CURVE_BYTES[asymmetricKeyDetails?.namedCurve ?? ""];
  return bytes !== undefined && spki.length === SPKI_BYTES.get(bytes) && spki.at(-2 * bytes - 1) === 4;
}

/** What OpenSSL cannot read is a refusal like any other. */
function attempt<T>(read: () => T, otherwise: string): T {
  try {
    return read();
  } catch (cause) {
    throw new VerificationError("KEY", otherwise, { cause });
  }
}

function weak(message: string): VerificationError {
  return new VerificationError("KEY", message);
}

/** A method named `constructor` must not be found. */
function nullProto<T extends object>(entries: T): Readonly<Record<string, SigningOptions>> {
  return Object.assign(Object.create(null), entries);
}
