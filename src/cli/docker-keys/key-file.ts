/** A private key as a file of docker's holds it: PEM with headers that say what the key is for. */
export interface KeyFile {
  /** `ENCRYPTED PRIVATE KEY`, `PRIVATE KEY`, or `EC PRIVATE KEY` and `RSA PRIVATE KEY` as notary wrote before 0.6. */
  readonly type: string;
  /** `root`, `targets`, `snapshot`, or the name of a signer. */
  readonly role: string;
  /** The trust collection that it is for; undefined for keys of roots and signers, which serve all. */
  readonly gun: string | undefined;
  /** What OpenSSL needs to know (`DEK-Info` and the like): all headers but docker's own two. */
  readonly cipherHeaders: readonly string[];
  readonly der: Buffer;
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----\r?\n((?:[^\r\n:]+:[^\r\n]*\r?\n)*)\r?\n?([A-Za-z0-9+/=\s]+)-----END \1-----/;
const TYPES: readonly string[] = ["ENCRYPTED PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"];

/** Undefined for what is no private key as docker and notary keep them. */
export function findPrivateKey(text: string): KeyFile | undefined {
  const [, type = "", head = "", body = ""] = PEM.exec(text) ?? [];
  if (!TYPES.includes(type)) return undefined;
  const headers = head.split(/\r?\n/).filter((line) => line !== "");
  const header = (name: string): string | undefined => headers.map(splitHeader).find(([key]) => key === name)?.[1];
  return {
    type,
    role: header("role") ?? "",
    gun: header("gun") || undefined,
    cipherHeaders: headers.filter((line) => !["role", "gun"].includes(splitHeader(line)[0])),
    der: Buffer.from(body, "base64"),
  };
}

export function isEncrypted({ type, cipherHeaders }: KeyFile): boolean {
  return type === "ENCRYPTED PRIVATE KEY" || cipherHeaders.some((line) => splitHeader(line)[0] === "DEK-Info");
}

/** As Go's `encoding/pem` writes it: headers by name, lines of 64 characters. */
export function toPem(type: string, headers: Readonly<Record<string, string | undefined>>, der: Uint8Array): string {
  const named = Object.entries(headers).filter(([, value]) => value !== undefined);
  const lines = named.map(([name, value]) => `${name}: ${value}\n`).sort();
  const body = Buffer.from(der)
    .toString("base64")
    .replace(/.{1,64}/g, "$&\n");
  return `-----BEGIN ${type}-----\n${lines.join("")}${lines.length > 0 ? "\n" : ""}${body}-----END ${type}-----\n`;
}

function splitHeader(line: string): readonly [name: string, value: string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
}
