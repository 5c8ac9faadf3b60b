import { generateKeyPairSync } from "node:crypto";
import { makeCertificate } from "../../notary/tuf/testing/certificate.ts";

/** PEM. */
export interface Pair {
  /** Its own CA. */
  readonly cert: string;
  readonly key: string;
}

export function makePair(commonName: string): Pair {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const [notBefore, notAfter] = [-1, 1].map((days) => new Date(Date.now() + days * 86_400_000)) as [Date, Date];
  const cert = makeCertificate({ publicKey, privateKey, commonNames: [commonName], notBefore, notAfter });
  return { cert, key: privateKey.export({ format: "pem", type: "pkcs8" }).toString() };
}
