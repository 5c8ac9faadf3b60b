import { randomBytes } from "node:crypto";
import { bits, integer, octets, oid, sequence, tlv } from "./der.ts";
import { type Key, makeKey } from "./key.ts";
import type { Gun } from "./names.ts";

/** What a root key has to sign to stand in a certificate. */
export interface Certifier {
  /** Bare; `ecdsa` or `rsa`. */
  readonly key: Key;
  /** As X.509 carries it: ECDSA over SHA-256 in DER, RSA by PKCS#1 v1.5. */
  readonly signCertificate: (toBeSigned: Uint8Array) => Uint8Array;
}

const OID = {
  commonName: "550403",
  basicConstraints: "551d13",
  keyUsage: "551d0f",
  extendedKeyUsage: "551d25",
  codeSigning: "2b06010505070303",
  ecdsaWithSha256: "2a8648ce3d040302",
  rsaWithSha256: "2a864886f70d01010b",
} as const;

const YEARS = 10;
const TRUE = Buffer.from([1, 1, 0xff]);
/** digitalSignature and keyEncipherment, as notary sets them. */
const USAGE = Buffer.from([0x03, 0x02, 0x05, 0xa0]);

/**
 * The form in which a root key stands in the root of one GUN: in a certificate by itself that names the GUN, good for ten
 * years and for signing code, as notary makes it. One root key has one for each GUN.
 * @see notary wire protocol, "Root certificates"; RFC 5280 section 4.1
 */
export function inRootCertificate({ key, signCertificate }: Certifier, gun: Gun, now: Date): Key {
  const algorithm =
    key.type === "rsa" ? sequence(oid(OID.rsaWithSha256), tlv(0x05)) : sequence(oid(OID.ecdsaWithSha256));
  const name = sequence(tlv(0x31, sequence(oid(OID.commonName), tlv(0x0c, Buffer.from(gun)))));
  const until = new Date(now);
  until.setUTCFullYear(now.getUTCFullYear() + YEARS);
  const toBeSigned = sequence(
    tlv(0xa0, integer(Buffer.from([2]))), // version 3
    integer(serialNumber()),
    algorithm,
    name,
    sequence(time(now), time(until)),
    name,
    key.publicBytes,
    tlv(0xa3, sequence(...extensions())),
  );
  const certificate = sequence(toBeSigned, algorithm, bits(signCertificate(toBeSigned)));
  return makeKey(`${key.type}-x509`, Buffer.from(toPem(certificate)));
}

function toPem(der: Buffer): string {
  const lines = der.toString("base64").replace(/.{1,64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`;
}

function extensions(): Buffer[] {
  return [
    sequence(oid(OID.keyUsage), TRUE, octets(USAGE)),
    sequence(oid(OID.extendedKeyUsage), octets(sequence(oid(OID.codeSigning)))),
    sequence(oid(OID.basicConstraints), TRUE, octets(sequence())),
  ];
}

/** Positive, and its first byte is not zero. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

/** UTCTime to 2049, then GeneralizedTime. @see RFC 5280 section 4.1.2.5 */
function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050 ? tlv(0x17, Buffer.from(text.slice(2))) : tlv(0x18, Buffer.from(text));
}
