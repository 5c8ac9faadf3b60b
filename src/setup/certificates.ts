import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import forge from "node-forge";
import { SetupError } from "./errors.ts";
import { findFile, writeDurably } from "./files.ts";

const DAY_MS = 86_400_000;
const CA_DAYS = 3650;
const SERVER_DAYS = 365;
/** The server certificate is made anew at a start with fewer days than this left. */
export const RENEW_DAYS = 30;

/** PEM of what the listener serves, and where clients find what they must trust. */
export interface ServerCertificate {
  readonly cert: string;
  readonly key: string;
  readonly caFile: string;
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/**
 * The installation's own CA and a server certificate for `names` (host names and addresses), made when missing,
 * and the server's renewed when it ends soon or when the names changed.
 * @throws SetupError when the CA's key is gone and a new server certificate is needed
 */
export async function openCertificates(
  folder: string,
  names: readonly string[],
  now: Date,
): Promise<ServerCertificate> {
  const caFile = join(folder, "ca.crt");
  const [cert, key] = await Promise.all([findFile(join(folder, "server.crt")), findFile(join(folder, "server.key"))]);
  const caCert = await findFile(caFile);
  if (cert && key && caCert && isGood({ cert, key }, { caCert, names, now })) return { cert, key, caFile };

  const ca = await openAuthority(folder, now);
  const made = await issue(ca, names, now);
  // The key first: a certificate without its key is what isGood refuses, so a crash in between only makes both again.
  await writeDurably(join(folder, "server.key"), made.key, 0o600);
  await writeDurably(join(folder, "server.crt"), made.cert, 0o644);
  return { ...made, caFile };
}

/** What is wrong with the server certificate, or undefined. */
export function findFlaw(cert: string, { names, now }: { names: readonly string[]; now: Date }): string | undefined {
  const leaf = new X509Certificate(cert);
  if (leaf.validToDate.getTime() < now.getTime()) return `ended on ${leaf.validTo}`;
  if (leaf.validToDate.getTime() - now.getTime() < RENEW_DAYS * DAY_MS) return `ends on ${leaf.validTo}`;
  if (leaf.validFromDate.getTime() > now.getTime()) return `starts only on ${leaf.validFrom}: is the clock right?`;
  const missing = names.filter((name) => (isIP(name) ? leaf.checkIP(name) : leaf.checkHost(name)) === undefined);
  return missing.length > 0 ? `does not name ${missing.join(", ")}` : undefined;
}

function isGood(pair: Pair, { caCert, names, now }: { caCert: string; names: readonly string[]; now: Date }): boolean {
  try {
    const leaf = new X509Certificate(pair.cert);
    const named = leaf.subjectAltName?.split(", ").length ?? 0;
    return (
      leaf.checkPrivateKey(createPrivateKey(pair.key)) &&
      leaf.verify(new X509Certificate(caCert).publicKey) &&
      named === names.length &&
      findFlaw(pair.cert, { names, now }) === undefined
    );
  } catch {
    return false; // not PEM, or half of it: make it again
  }
}

async function openAuthority(folder: string, now: Date): Promise<Pair> {
  const [certFile, keyFile] = [join(folder, "ca.crt"), join(folder, "ca.key")];
  const cert = await findFile(certFile);
  let key = await findFile(keyFile);
  if (cert !== undefined) {
    if (key !== undefined && new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
    throw new SetupError(
      `${keyFile} is missing or does not belong to ${certFile}, and a new server certificate is needed: ` +
        `put the key back, or remove ${certFile} and have every client trust the new CA`,
    );
  }
  // A key without a certificate is a first start that was cut short.
  if (key === undefined) {
    key = await newKey(3072);
    await writeDurably(keyFile, key, 0o600);
  }
  const made = { cert: selfSign(key, now), key };
  await writeDurably(certFile, made.cert, 0o644);
  return made;
}

async function newKey(bits: number): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: bits });
  return privateKey.export({ type: "pkcs1", format: "pem" }).toString();
}

function selfSign(key: string, now: Date): string {
  const privateKey = forge.pki.privateKeyFromPem(key);
  const publicKey = forge.pki.rsa.setPublicKey(privateKey.n, privateKey.e);
  // The name tells two installations' authorities apart in a trust store.
  const subject = [{ name: "commonName", value: `Goldseal CA ${randomBytes(4).toString("hex")}` }];
  const cert = draft({ publicKey, subject, issuer: subject, now, days: CA_DAYS });
  cert.setExtensions([
    { name: "basicConstraints", critical: true, cA: true, pathLenConstraint: 0 },
    { name: "keyUsage", critical: true, keyCertSign: true, cRLSign: true },
    { name: "subjectKeyIdentifier" },
  ]);
  cert.sign(privateKey, forge.md.sha256.create());
  return forge.pki.certificateToPem(cert);
}

async function issue(ca: Pair, names: readonly string[], now: Date): Promise<Pair> {
  const key = await newKey(2048);
  const authority = forge.pki.certificateFromPem(ca.cert);
  const privateKey = forge.pki.privateKeyFromPem(key);
  const publicKey = forge.pki.rsa.setPublicKey(privateKey.n, privateKey.e);
  const subject = [{ name: "commonName", value: (names[0] ?? "goldseal").slice(0, 64) }];
  const cert = draft({ publicKey, subject, issuer: authority.subject.attributes, now, days: SERVER_DAYS });
  if (cert.validity.notAfter > authority.validity.notAfter) cert.validity.notAfter = authority.validity.notAfter;
  cert.setExtensions([
    { name: "basicConstraints", critical: true, cA: false },
    { name: "keyUsage", critical: true, digitalSignature: true, keyEncipherment: true },
    { name: "extKeyUsage", serverAuth: true },
    { name: "subjectKeyIdentifier" },
    { name: "authorityKeyIdentifier", keyIdentifier: authority.generateSubjectKeyIdentifier().getBytes() },
    {
      name: "subjectAltName",
      altNames: names.map((name) => (isIP(name) ? { type: 7, ip: name } : { type: 2, value: name })),
    },
  ]);
  cert.sign(forge.pki.privateKeyFromPem(ca.key), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(cert), key };
}

function draft(of: {
  publicKey: forge.pki.rsa.PublicKey;
  subject: forge.pki.CertificateField[];
  issuer: forge.pki.CertificateField[];
  now: Date;
  days: number;
}): forge.pki.Certificate {
  const cert = forge.pki.createCertificate();
  cert.publicKey = of.publicKey;
  cert.serialNumber = `01${randomBytes(15).toString("hex")}`; // positive, and never the same twice
  cert.validity.notBefore = new Date(of.now.getTime() - 3_600_000); // clients' clocks may be behind
  cert.validity.notAfter = new Date(of.now.getTime() + of.days * DAY_MS);
  cert.setSubject(of.subject);
  cert.setIssuer(of.issuer);
  return cert;
}
