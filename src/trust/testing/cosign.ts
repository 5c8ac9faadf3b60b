/** Signatures as cosign pushes them, in which a test changes one thing. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Key, spkiOf } from "../../notary/tuf/key.ts";
import { keyOfSpki } from "../../notary/tuf/public-key-file.ts";
import type { Change } from "../../notary/tuf/testing/loose.ts";
import type { TestKey } from "../../notary/tuf/testing/test-key.ts";
import { type Digest, digestOf } from "../../oci/digest.ts";
import type { SignatureManifest } from "../cosign-evidence.ts";
import { preAuthEncoding } from "../dsse.ts";
import type { Artifact } from "../subject.ts";
import { signDetached } from "./signers.ts";
import { artifact } from "./world.ts";

interface Vectors {
  readonly keys: Readonly<Record<string, string>>;
  readonly images: Readonly<Record<"image" | "index", string>>;
  readonly pushes: readonly {
    readonly version: string;
    readonly name: string;
    readonly signatures: readonly { readonly manifest: string; readonly blobs: Readonly<Record<string, string>> }[];
  }[];
  readonly messageBundle: string;
}

/** What cosign v2.6.5 and v3.1.3 pushed to Goldseal: conformance/trust/make-cosign-vectors.ts made it. */
const vectors: Vectors = JSON.parse(readFileSync(join(import.meta.dirname, "data", "cosign.json"), "utf8"));
const decode = (text: string): Buffer => Buffer.from(text, "base64");

export const vectorKeys: ReadonlyMap<string, Key> = new Map(
  Object.entries(vectors.keys).map(([name, spki]) => [name, keyOfSpki(decode(spki))]),
);
export const vectorImages = {
  image: artifact(decode(vectors.images.image)),
  index: artifact(decode(vectors.images.index)),
};
export const messageBundle = decode(vectors.messageBundle);

export const nameOfKey = (spki: string): string | undefined =>
  [...vectorKeys].find(([, key]) => spkiOf(key) === spki)?.[0];

export function vector(version: string, name: string): SignatureManifest[] {
  const push = vectors.pushes.find((one) => one.version === version && one.name === name);
  if (push === undefined) throw new Error(`no vector ${version} ${name}`);
  return push.signatures.map(({ manifest, blobs }) => ({
    artifact: artifact(decode(manifest)),
    blobs: new Map(Object.entries(blobs).map(([digest, bytes]) => [digest as Digest, decode(bytes)])),
  }));
}

export const SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json";
export const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const none: Change = () => undefined;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** A manifest with one layer of `bytes`. */
export function manifestWith(
  bytes: Buffer,
  mediaType: string,
  annotations?: Readonly<Record<string, string>>,
): SignatureManifest {
  const layer = { mediaType, digest: digestOf(bytes), size: bytes.length, ...(annotations ? { annotations } : {}) };
  return { artifact: artifact(json({ schemaVersion: 2, layers: [layer] })), blobs: new Map([[layer.digest, bytes]]) };
}

export interface Classic {
  readonly payload?: Change;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Signs this instead of the payload. */
  readonly message?: Buffer;
}

export function classic(
  by: TestKey,
  of: Artifact,
  { payload = none, annotations = {}, message }: Classic = {},
): SignatureManifest {
  const value = {
    critical: {
      identity: { "docker-reference": "" },
      image: { "docker-manifest-digest": of.digest },
      type: "cosign container image signature",
    },
    optional: null,
  };
  payload(value);
  const sig = signDetached(by, message ?? json(value)).toString("base64");
  return manifestWith(json(value), SIMPLE, { "dev.cosignproject.cosign/signature": sig, ...annotations });
}

export interface Bundle {
  readonly statement?: Change;
  readonly bundle?: Change;
  readonly payloadType?: string;
}

export function bundle(
  by: TestKey,
  of: Artifact,
  { statement = none, bundle: change = none, payloadType = "application/vnd.in-toto+json" }: Bundle = {},
): SignatureManifest {
  const value = {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ digest: { sha256: of.digest.slice(7) }, annotations: {} }],
    predicateType: "https://sigstore.dev/cosign/sign/v1",
    predicate: {},
  };
  statement(value);
  const payload = json(value);
  const sig = signDetached(by, preAuthEncoding(payloadType, payload)).toString("base64");
  const whole = {
    mediaType: BUNDLE,
    verificationMaterial: { publicKey: { hint: "" } },
    dsseEnvelope: { payload: payload.toString("base64"), payloadType, signatures: [{ sig }] },
  };
  change(whole);
  return manifestWith(json(whole), BUNDLE);
}

/** A bundle with a signature over the manifest's own bytes. */
export function messageSignature(by: TestKey, of: Artifact, change: Change = none): SignatureManifest {
  const value = {
    mediaType: BUNDLE,
    verificationMaterial: { publicKey: { hint: "" } },
    messageSignature: {
      messageDigest: { algorithm: "SHA2_256", digest: Buffer.from(of.digest.slice(7), "hex").toString("base64") },
      signature: signDetached(by, of.bytes).toString("base64"),
    },
  };
  change(value);
  return manifestWith(json(value), BUNDLE);
}
