/** Trust data as a client makes it, and wrong in every way that a case asks for. Nothing of the product's code. */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export type Loose = Record<string, unknown>;

export interface Signer {
  readonly type: string;
  readonly publicBytes: Buffer;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly method: string;
}

export const sha256Hex = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");
const hashOf = (name: string, bytes: Uint8Array): string => createHash(name).update(bytes).digest("base64");

/** Keys sorted, no spaces, `\` and `"` escaped and nothing else. */
export function canonical(value: unknown): string {
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  const sorted = members.sort(([one], [two]) => Buffer.compare(Buffer.from(one), Buffer.from(two)));
  return `{${sorted.map(([key, member]) => `${canonical(key)}:${canonical(member)}`).join(",")}}`;
}

export const keyOf = ({ type, publicBytes }: Pick<Signer, "type" | "publicBytes">): Loose => ({
  keytype: type,
  keyval: { private: null, public: publicBytes.toString("base64") },
});
export const idOf = (signer: Pick<Signer, "type" | "publicBytes">): string => sha256Hex(canonical(keyOf(signer)));

export function ecdsa(): Signer {
  return bare("ecdsa", "ecdsa", generateKeyPairSync("ec", { namedCurve: "P-256" }));
}
export function rsa(): Signer {
  return bare("rsa", "rsapss", generateKeyPairSync("rsa", { modulusLength: 2048 }));
}
export function ed25519(): Signer {
  const pair = bare("ed25519", "eddsa", generateKeyPairSync("ed25519"));
  return { ...pair, publicBytes: pair.publicBytes.subarray(-32) };
}

function bare(type: string, method: string, pair: Pick<Signer, "publicKey" | "privateKey">): Signer {
  return { type, method, ...pair, publicBytes: pair.publicKey.export({ format: "der", type: "spki" }) };
}

export interface CertificateOptions {
  readonly cn: string;
  readonly ca?: boolean;
  readonly sha1?: boolean;
}

/** What a file calls a key, opened. */
export function publicKeyOf(type: string, publicBytes: Buffer): KeyObject {
  if (type.endsWith("-x509")) return createPublicKey(publicBytes);
  const prefix = Buffer.from(type === "ed25519" ? "302a300506032b6570032100" : "", "hex");
  return createPublicKey({ key: Buffer.concat([prefix, publicBytes]), format: "der", type: "spki" });
}

/** The same pair as a root key has to be: in a certificate of its own. */
export function inCertificate(pair: Signer, options: CertificateOptions): Signer {
  return { ...pair, type: `${pair.type}-x509`, publicBytes: Buffer.from(certificate(pair, options)) };
}

const ALGORITHMS: Readonly<Record<string, string>> = {
  ecdsa: "300a06082a8648ce3d040302",
  "ecdsa sha1": "300906072a8648ce3d0401",
  rsa: "300d06092a864886f70d01010b0500",
};

function certificate(
  { type, publicKey, privateKey }: Signer,
  { cn, ca = false, sha1 = false }: CertificateOptions,
): string {
  const algorithm = Buffer.from(ALGORITHMS[sha1 ? `${type} sha1` : type] ?? "", "hex");
  const oid = (hex: string) => tlv(0x06, Buffer.from(hex, "hex"));
  const name = tlv(0x30, tlv(0x31, tlv(0x30, oid("550403"), tlv(0x0c, Buffer.from(cn)))));
  const time = (years: number) => {
    const date = new Date(Date.now() + years * 365 * 86_400_000 - 86_400_000);
    return tlv(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, "")));
  };
  const isCa = tlv(0x01, Buffer.from([255]));
  const constraints = tlv(0x30, oid("551d13"), isCa, tlv(0x04, tlv(0x30, ...(ca ? [isCa] : []))));
  const tbs = tlv(
    0x30,
    ...[tlv(0xa0, tlv(0x02, Buffer.from([2]))), tlv(0x02, Buffer.from([1])), algorithm, name],
    ...[tlv(0x30, time(0), time(10)), name, publicKey.export({ format: "der", type: "spki" })],
    tlv(0xa3, tlv(0x30, constraints)),
  );
  const signature = tlv(0x03, Buffer.from([0]), sign(sha1 ? "sha1" : "sha256", tbs, privateKey));
  const base64 = tlv(0x30, tbs, algorithm, signature).toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`;
}

function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

export interface SignatureOptions {
  /** As it is written in the file. */
  readonly method?: string;
  readonly der?: boolean;
}

export function signatureOf(
  signer: Signer,
  message: string,
  { method = signer.method, der = false }: SignatureOptions = {},
) {
  return { keyid: idOf(signer), method, sig: signBytes(signer, method.toLowerCase(), der, message).toString("base64") };
}

function signBytes({ privateKey, type }: Signer, method: string, der: boolean, message: string): Buffer {
  const bytes = Buffer.from(message);
  if (type.startsWith("ed25519")) return sign(null, bytes, privateKey);
  if (type.startsWith("ecdsa"))
    return sign("sha256", bytes, { key: privateKey, dsaEncoding: der ? "der" : "ieee-p1363" });
  const pss = { padding: 6, saltLength: 32 };
  return sign("sha256", bytes, { key: privateKey, ...(method === "rsapkcs1v15" ? { padding: 1 } : pss) });
}

/** The file as every Go client writes it. */
export function toFile(signed: Loose | null, signers: readonly Signer[], options?: SignatureOptions): Buffer {
  const message = canonical(signed);
  return withSignatures(
    message,
    signers.map((signer) => signatureOf(signer, message, options)),
  );
}

export function withSignatures(message: string, signatures: readonly unknown[]): Buffer {
  const escaped = message.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return Buffer.from(`{"signed":${escaped},"signatures":${JSON.stringify(signatures)}}`);
}

export function metaOf(bytes: Uint8Array): Loose {
  return { hashes: { sha256: hashOf("sha256", bytes), sha512: hashOf("sha512", bytes) }, length: bytes.length };
}
