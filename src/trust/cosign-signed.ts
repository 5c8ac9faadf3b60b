import { z } from "zod";
import { type Digest, digestOf, isDigest } from "../oci/digest.ts";
import { envelopeSchema, preAuthEncoding, toEnvelope } from "./dsse.ts";
import { TrustError } from "./error.ts";
import { findBase64, readStrict } from "./strict-json.ts";
import type { Subject } from "./subject.ts";

/** What a cosign signature signs, and what that says. The signature itself is not verified yet. */
export interface Signed {
  readonly message: Uint8Array;
  readonly sigs: readonly Uint8Array[];
  /** SHA-256 of the images that are meant. */
  readonly digests: readonly string[];
}

export const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
export const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";

/** Fulcio's certificates live ten minutes: without a trusted time nobody can tell whether one was valid when it signed. */
export const NO_AUTHORITY = "is signed with a certificate, and no timestamp authority says when; sign with a key";

const SIGNATURE = "dev.cosignproject.cosign/signature";
const CERTIFICATE = "dev.sigstore.cosign/certificate";

const digestText = z.string().refine((text) => isDigest(text) && text.startsWith("sha256:"), "not a SHA-256 digest");

const payloadSchema = z.object({
  critical: z.strictObject({
    // Where it was signed; cosign's own word, which it does not check either.
    identity: z.object({}),
    image: z.strictObject({ "docker-manifest-digest": digestText }),
    type: z.literal("cosign container image signature"),
  }),
});

/**
 * A layer of a `sha256-….sig` manifest: the payload names the image, the layer's annotation is the signature over it.
 * @throws TrustError MALFORMED, SIGNATURE
 * @see cosign specs/SIGNATURE_SPEC.md
 */
export function readSimpleSigning(bytes: Uint8Array, annotations: Readonly<Record<string, string>>): Signed {
  if (annotations[CERTIFICATE] !== undefined) throw new TrustError("SIGNATURE", NO_AUTHORITY);
  const { critical } = readStrict(bytes, payloadSchema, "the payload");
  const sig = findBase64(annotations[SIGNATURE] ?? "");
  if (sig === undefined || sig.length === 0) throw new TrustError("MALFORMED", "has no signature in base64 beside it");
  return { message: bytes, sigs: [sig], digests: [critical.image["docker-manifest-digest"]] };
}

const bytesText = z.string().refine((text) => findBase64(text) !== undefined, "not base64");

/** Members that we do not read (the transparency log) say nothing to us. */
const bundleSchema = z.object({
  mediaType: z.literal(BUNDLE),
  verificationMaterial: z.object({
    publicKey: z.object({}).optional(),
    certificate: z.unknown().optional(),
    x509CertificateChain: z.unknown().optional(),
  }),
  dsseEnvelope: envelopeSchema.optional(),
  messageSignature: z
    .object({
      messageDigest: z.object({ algorithm: z.literal("SHA2_256"), digest: bytesText }),
      signature: bytesText,
    })
    .optional(),
});

/**
 * A bundle v0.3: a DSSE envelope with an in-toto statement about the image, or a signature over the image's manifest.
 * @throws TrustError MALFORMED, SIGNATURE
 * @see sigstore protobuf-specs, sigstore_bundle.proto
 */
export function readBundle(bytes: Uint8Array, subject: Subject): Signed {
  const {
    verificationMaterial: material,
    dsseEnvelope,
    messageSignature,
  } = readStrict(bytes, bundleSchema, "the bundle");
  if (material.certificate !== undefined || material.x509CertificateChain !== undefined) {
    throw new TrustError("SIGNATURE", NO_AUTHORITY);
  }
  if (material.publicKey === undefined) throw new TrustError("MALFORMED", "the bundle names no key");
  if ((dsseEnvelope === undefined) === (messageSignature === undefined)) {
    throw new TrustError("MALFORMED", "the bundle holds not exactly one signature");
  }
  if (dsseEnvelope !== undefined) return readStatement(dsseEnvelope);
  const { messageDigest, signature } = messageSignature as NonNullable<typeof messageSignature>;
  return readMessage(messageDigest.digest, signature, subject);
}

const IN_TOTO = "application/vnd.in-toto+json";
const COSIGN_SIGN = "https://sigstore.dev/cosign/sign/v1";

const STATEMENT = "https://in-toto.io/Statement/v1";

const statementSchema = z.object({
  _type: z.string(),
  predicateType: z.string(),
  subject: z
    .array(z.object({ digest: z.record(z.string(), z.string()) }))
    .min(1)
    .max(64),
});

function readStatement(wire: z.infer<typeof envelopeSchema>): Signed {
  const { payloadType, payload, signatures } = toEnvelope(wire);
  if (payloadType !== IN_TOTO) throw new TrustError("SIGNATURE", `holds ${payloadType}, not an in-toto statement`);
  const { _type, predicateType, subject } = readStrict(payload, statementSchema, "the statement");
  // Who signs a list of contents, or of known holes, does not say that the image is good.
  if (predicateType !== COSIGN_SIGN)
    throw new TrustError("SIGNATURE", `is a statement ${predicateType}, not a signature`);
  if (_type !== STATEMENT) throw new TrustError("MALFORMED", `is a statement of the type ${_type}`);
  return {
    message: preAuthEncoding(payloadType, payload),
    sigs: signatures.map(({ sig }) => sig),
    digests: subject.map(({ digest }) => `sha256:${digest.sha256}`),
  };
}

/** The message is not in the bundle: it must be a manifest that we have. */
function readMessage(digest: string, signature: string, { covering }: Subject): Signed {
  const name = `sha256:${Buffer.from(digest, "base64").toString("hex")}`;
  const message = covering.get(name)?.bytes;
  if (message === undefined) throw new TrustError("SIGNATURE", `is about ${name.slice(0, 80)}`);
  return { message, sigs: [Buffer.from(signature, "base64")], digests: [digestOf(message) as Digest] };
}
