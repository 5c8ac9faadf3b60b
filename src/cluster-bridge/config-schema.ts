import { z } from "zod";
import { VerificationError } from "../notary/tuf/error.ts";
import type { Key } from "../notary/tuf/key.ts";
import { keyOfSpki, parsePublicKeyFile } from "../notary/tuf/public-key-file.ts";
import { isImagePattern } from "../trust/image-pattern.ts";
import { findBase64 } from "../trust/strict-json.ts";

const path = z.string().min(1);
const threshold = z.int().min(1).max(64);

/** `https` alone: on a wire that anybody can change, who holds the wire is the registry. */
const registry = z.string().refine((text) => {
  const url = URL.parse(text);
  return (
    url?.protocol === "https:" && (text === url.origin || text === `${url.origin}/` || text === `${url.origin}:443`)
  );
}, "an origin such as https://registry.example.org:5443, in lower case");

const tcp = z.string().regex(/^tcp:\/\/[^/@?#]+:\d{1,5}$/, "tcp://host:port");
const endpoint = z.union(
  [
    z.string().regex(/^unix:\/\/\/./, "unix:///path/of/docker.sock; or url (tcp://host:port), ca, cert and key"),
    z.strictObject({ url: tcp, ca: path, cert: path, key: path }),
  ],
  "unix:///path/of/docker.sock, or url (tcp://host:port) with the files ca, cert and key",
);

const listen = z.string().transform((text, context) => {
  const [, six, four, digits] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (port <= 65_535) return { host: six ?? four ?? "", port };
  context.addIssue("host:port, like 127.0.0.1:5444");
  return z.NEVER;
});

/** A key as people keep it: PEM, a line of base64 (DER SubjectPublicKeyInfo), or the JSON of a TUF file. */
const publicKey = z.string().transform((text, context): Key => {
  try {
    const der = findBase64(text.trim());
    const key = der === undefined ? parsePublicKeyFile(text).key : keyOfSpki(der);
    key.getMaterial();
    return key;
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    context.addIssue(`a public key: ${error.message}`);
    return z.NEVER;
  }
});

/** `host:port/ops/*`: the collections of the repositories that the pattern fits. */
const gunPattern = z.string().transform((text, context) => {
  const slash = text.indexOf("/");
  const [authority, pattern] = [text.slice(0, slash), text.slice(slash + 1)];
  if (slash > 0 && isImagePattern(pattern)) return { authority, pattern };
  context.addIssue("host:port and an image pattern: registry.example.org:5443/ops/*");
  return z.NEVER;
});

const keyId = z.string().regex(/^[0-9a-f]{64}$/, "a key id of 64 lower-case hex digits");

export const fileSchema = z.strictObject({
  registry,
  ca: path.optional(),
  account: z.strictObject({ name: z.string().min(1).max(255), passwordFile: path }).optional(),
  /** Private key (PEM, Ed25519) of the notes that the managers' authorization plug-ins ask for. */
  allowKey: path.optional(),
  engine: endpoint,
  engines: z.record(z.string().min(1).max(255), endpoint).default({}),
  listen: listen.prefault("127.0.0.1:5444"),
  tls: z.strictObject({ cert: path, key: path }).optional(),
  store: path,
  relay: z.strictObject({ secretFile: path }).optional(),
  policyKeys: z.strictObject({ keys: z.array(publicKey).min(1).max(64), threshold }),
  pins: z
    .array(
      z.strictObject({
        gun: gunPattern,
        rootKeys: z.array(keyId).min(1).max(64),
        threshold: threshold.default(1),
        epoch: z.int().min(1).max(1_000_000).default(1),
      }),
    )
    .min(1)
    .max(1024),
});
