import { constants, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { VerificationError } from "../../notary/tuf/error.ts";
import { type Key, makeKey } from "../../notary/tuf/key.ts";
import type { Certifier } from "../../notary/tuf/root-certificate.ts";
import { CliError } from "../errors.ts";
import { isEncrypted, type KeyFile, toPem } from "./key-file.ts";
import { encryptPkcs8 } from "./pbes2.ts";

/** A private key, open. */
export interface SigningKey {
  /** Its public half, bare; docker names the file by its id. */
  readonly key: Key;
  readonly privateKey: KeyObject;
}

/** OpenSSL's names of kinds of keys → those of trust data. */
const KEY_TYPES: ReadonlyMap<string, string> = new Map([
  ["ec", "ecdsa"],
  ["rsa", "rsa"],
  ["ed25519", "ed25519"],
]);

/** A passphrase that does not open the file, or contents that are no key: behind a wrong passphrase both look alike. */
export class WrongPassphraseError extends Error {}

/** On the curve that docker and notary use: P-256. */
export function generateSigningKey(): SigningKey {
  return toSigningKey(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey);
}

/**
 * As a file of TUF wants it: ECDSA as raw r‖s over SHA-256, RSA-PSS with a salt of 32 bytes, Ed25519.
 * @see notary wire protocol, "Signatures"
 */
export function signWith({ key, privateKey }: SigningKey, message: Uint8Array): { method: string; sig: Buffer } {
  if (key.type === "ed25519") return { method: "eddsa", sig: sign(undefined, message, privateKey) };
  if (key.type === "ecdsa") {
    return { method: "ecdsa", sig: sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" }) };
  }
  const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  return { method: "rsapss", sig: sign("sha256", message, { key: privateKey, ...padding }) };
}

export function toCertifier({ key, privateKey }: SigningKey): Certifier {
  return { key, signCertificate: (toBeSigned) => sign("sha256", toBeSigned, privateKey) };
}

/**
 * @param passphrase not looked at where the file is not encrypted
 * @throws WrongPassphraseError
 * @throws CliError for a key that no reader would count: another curve, a short modulus
 */
export function openKeyFile(file: KeyFile, passphrase: string): SigningKey {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(toSource(file, passphrase));
  } catch (cause) {
    throw new WrongPassphraseError("no key comes out", { cause });
  }
  return toSigningKey(privateKey);
}

/** PEM that docker and notary read back: encrypted with their cipher, and never without a passphrase. */
export function sealKey({ privateKey }: SigningKey, passphrase: string, role: string, gun: string | undefined): string {
  const pkcs8 = privateKey.export({ format: "der", type: "pkcs8" });
  return toPem("ENCRYPTED PRIVATE KEY", { role, gun }, encryptPkcs8(pkcs8, passphrase));
}

/** PEM with the name of its signer, as `docker trust key generate` writes it for `docker trust signer add --key`. */
export function toPublicPem({ publicBytes }: Key, role: string): string {
  return toPem("PUBLIC KEY", { role }, publicBytes);
}

export function toSigningKey(privateKey: KeyObject): SigningKey {
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const type = KEY_TYPES.get(privateKey.asymmetricKeyType ?? "");
  if (type === undefined) throw new CliError(`${privateKey.asymmetricKeyType} is no kind of key that trust data knows`);
  // The last 32 bytes of an Ed25519 key's DER are the key.
  const key = makeKey(type, type === "ed25519" ? spki.subarray(-32) : spki);
  try {
    key.getMaterial();
  } catch (error) {
    if (error instanceof VerificationError) throw new CliError(`this key would count for nobody: ${error.message}`);
    throw error;
  }
  return { key, privateKey };
}

/** OpenSSL takes the new form as DER; the old one's cipher stands in PEM headers, of which docker's own two confuse it. */
function toSource(file: KeyFile, passphrase: string) {
  const secret = isEncrypted(file) ? { passphrase } : {};
  if (file.type.endsWith(" PRIVATE KEY") && !file.type.startsWith("ENCRYPTED")) {
    const headers = Object.fromEntries(file.cipherHeaders.map((line) => line.split(/:\s*/, 2)));
    return { key: toLegacyPem(file.type, headers, file.der), format: "pem", ...secret } as const;
  }
  return { key: file.der, format: "der", type: "pkcs8", ...secret } as const;
}

/** `Proc-Type` must be the first header. */
function toLegacyPem(type: string, headers: Readonly<Record<string, string>>, der: Uint8Array): string {
  const { "Proc-Type": proc, ...others } = headers;
  const pem = toPem(type, others, der);
  return proc === undefined ? pem : pem.replace("\n", `\nProc-Type: ${proc}\n`);
}
