import { X509Certificate } from "node:crypto";
import { VerificationError } from "./error.ts";
import type { Key } from "./key.ts";
import type { Gun } from "./names.ts";

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[ \t\r\n]+([A-Za-z0-9+/= \t\r\n]+)-----END CERTIFICATE-----/y;
const BLANK = /[ \t\r\n]*/y;
const DAY_MS = 86_400_000;
const MAX_CERTIFICATES = 8;

/** SHA-2 with RSA, RSA-PSS, ECDSA, and Ed25519: all that is not SHA-1 or older. */
const SOUND_SIGNATURES: readonly string[] = [
  "1.2.840.113549.1.1.10",
  "1.2.840.113549.1.1.11",
  "1.2.840.113549.1.1.12",
  "1.2.840.113549.1.1.13",
  "1.2.840.10045.4.3.2",
  "1.2.840.10045.4.3.3",
  "1.2.840.10045.4.3.4",
  "1.3.101.112",
];

/**
 * PEM certificates and nothing else: what stands between the blocks is skipped by some readers and read by others.
 * @throws VerificationError KEY
 */
export function parseCertificates(pem: Uint8Array): X509Certificate[] {
  const text = Buffer.from(pem).toString("latin1");
  const certificates: X509Certificate[] = [];
  for (let at = skipBlanks(text, 0); at < text.length; at = skipBlanks(text, PEM_BLOCK.lastIndex)) {
    PEM_BLOCK.lastIndex = at;
    const base64 = PEM_BLOCK.exec(text)?.[1];
    if (base64 === undefined) throw new VerificationError("KEY", "not PEM certificates");
    if (certificates.length === MAX_CERTIFICATES) throw new VerificationError("KEY", "more than 8 certificates");
    certificates.push(readCertificate(base64.replace(/[ \t\r\n]/g, "")));
  }
  return certificates;
}

/**
 * Whether the key may stand for the root of `gun`: its first block is the one certificate that is no CA, it names this
 * GUN, is signed with SHA-2 and valid now. Another repository's root does not count here (hardening T08).
 * @param now undefined skips the dates: an expired root may still hand over to its successor
 */
export function isRootCertificate(key: Key, gun: Gun, now: Date | undefined): boolean {
  const { leaf, certificates = [] } = key.findMaterial() ?? {};
  if (leaf === undefined || certificates.filter(({ ca }) => !ca).length !== 1 || leaf.ca) return false;
  return names(leaf, gun) && isSoundCertificate(leaf) && (now === undefined || isInForce(leaf, now));
}

/** Key strength is checked when a key is opened; here remains how the certificate itself is signed. */
export function isSoundCertificate({ signatureAlgorithmOid }: X509Certificate): boolean {
  return SOUND_SIGNATURES.includes(signatureAlgorithmOid ?? "");
}

/** The common name is the GUN, or a prefix of it followed by `*`. Several common names are none: readers differ. */
function names(leaf: X509Certificate, gun: Gun): boolean {
  const { CN: name } = leaf.toLegacyObject().subject as { CN?: unknown };
  if (typeof name !== "string") return false;
  return name.endsWith("*") ? gun.startsWith(name.slice(0, -1)) : name === gun;
}

function isInForce({ validFromDate, validToDate }: X509Certificate, now: Date): boolean {
  return validToDate.getTime() >= now.getTime() && validFromDate.getTime() <= now.getTime() + DAY_MS;
}

/** The block's text must be what the certificate would be written as: no byte more, no second spelling. */
function readCertificate(base64: string): X509Certificate {
  try {
    const certificate = new X509Certificate(Buffer.from(base64, "base64"));
    if (certificate.raw.toString("base64") === base64) return certificate;
  } catch (cause) {
    throw new VerificationError("KEY", "not an X.509 certificate", { cause });
  }
  throw new VerificationError("KEY", "a certificate is not in its one PEM form");
}

function skipBlanks(text: string, at: number): number {
  BLANK.lastIndex = at;
  BLANK.test(text);
  return BLANK.lastIndex;
}
