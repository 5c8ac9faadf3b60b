/** X.509 for tests, written out by hand: node-forge makes no EC certificates, and tests need wrong ones too. */
import { type KeyObject, sign } from "node:crypto";

export interface CertificateOptions {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly commonNames: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly ca?: boolean;
  readonly hash?: "sha1" | "sha256";
}

const OID = {
  commonName: "550403",
  basicConstraints: "551d13",
  rsaSha1: "2a864886f70d010105",
  rsaSha256: "2a864886f70d01010b",
  ecdsaSha1: "2a8648ce3d0401",
  ecdsaSha256: "2a8648ce3d040302",
};

/** Self-signed, PEM. */
export function makeCertificate(options: CertificateOptions): string {
  const { publicKey, privateKey, hash = "sha256" } = options;
  const algorithm = algorithmOf(publicKey, hash);
  const tbs = toBeSigned(options, algorithm);
  const signature = bitString(sign(hash, tbs, privateKey));
  const base64 = sequence(tbs, algorithm, signature).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{64}(?=.)/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

function toBeSigned(options: CertificateOptions, algorithm: Buffer): Buffer {
  const { publicKey, commonNames, notBefore, notAfter, ca = false } = options;
  const name = sequence(
    ...commonNames.map((cn) => tlv(0x31, sequence(oid(OID.commonName), tlv(0x0c, Buffer.from(cn))))),
  );
  const constraints = sequence(
    oid(OID.basicConstraints),
    tlv(0x01, Buffer.from([255])),
    tlv(0x04, ca ? sequence(tlv(0x01, Buffer.from([255]))) : sequence()),
  );
  return sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), // version 3
    tlv(0x02, Buffer.from([1])), // serial
    algorithm,
    name,
    sequence(time(notBefore), time(notAfter)),
    name,
    publicKey.export({ format: "der", type: "spki" }),
    tlv(0xa3, sequence(constraints)),
  );
}

function algorithmOf({ asymmetricKeyType }: KeyObject, hash: "sha1" | "sha256"): Buffer {
  if (asymmetricKeyType === "ec") return sequence(oid(hash === "sha1" ? OID.ecdsaSha1 : OID.ecdsaSha256));
  return sequence(oid(hash === "sha1" ? OID.rsaSha1 : OID.rsaSha256), tlv(0x05));
}

export function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...contents: readonly Buffer[]): Buffer => tlv(0x30, ...contents);
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, "hex"));
const bitString = (content: Buffer): Buffer => tlv(0x03, Buffer.from([0]), content);
/** GeneralizedTime: `20261122153000Z`. */
const time = (date: Date): Buffer => tlv(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, "")));
