import { z } from "zod";
import { canonicalKeyId, type Key, spkiOf } from "../notary/tuf/key.ts";
import { MAX_SIGNATURES } from "../notary/tuf/verify.ts";
import { verifyDetached } from "./detached-signature.ts";
import { TrustError } from "./error.ts";
import { findBase64, readStrict } from "./strict-json.ts";

const base64 = z.string().refine((text) => findBase64(text) !== undefined, "not base64");

/** Also the envelope inside a cosign bundle. Members that nobody signed are nobody's. */
export const envelopeSchema = z.strictObject({
  payload: base64,
  payloadType: z.string().min(1).max(255),
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(255).default(""), sig: base64 }))
    .min(1)
    .max(MAX_SIGNATURES),
});

/** A DSSE envelope; nothing in it is verified yet. */
export interface Envelope {
  readonly payloadType: string;
  readonly payload: Buffer;
  readonly signatures: readonly { readonly keyId: string; readonly sig: Buffer }[];
}

export interface EnvelopeRule {
  /** What the payload must be: an approval is no policy, whoever signed it. */
  readonly payloadType: string;
  readonly keys: readonly Key[];
  /** How many of `keys` must have signed. */
  readonly threshold: number;
}

export interface EnvelopeSigner {
  /** Canonical key id. */
  readonly keyId: string;
  /** In the encoding of {@link verifyDetached}. */
  sign(message: Uint8Array): Uint8Array;
}

/** @throws TrustError MALFORMED */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  return toEnvelope(readStrict(bytes, envelopeSchema, "the envelope"));
}

export function toEnvelope({ payload, payloadType, signatures }: z.infer<typeof envelopeSchema>): Envelope {
  const decode = (text: string): Buffer => Buffer.from(text, "base64");
  return {
    payloadType,
    payload: decode(payload),
    signatures: signatures.map(({ keyid, sig }) => ({ keyId: keyid, sig: decode(sig) })),
  };
}

/**
 * What is signed: type and payload with their lengths, so that no byte can move from one to the other.
 * @see DSSE protocol v1, "PAE definition"
 */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

/**
 * `threshold` of the keys signed the envelope, and its payload is what was asked for. Keys are counted by what they are
 * (SPKI): neither a second signature nor a second id makes two of one (hardening N06, N07). A signature names its key.
 * @throws TrustError SIGNATURE
 */
export function verifyEnvelope(envelope: Envelope, { payloadType, keys, threshold }: EnvelopeRule): void {
  if (envelope.payloadType !== payloadType) {
    throw new TrustError("SIGNATURE", `the envelope holds ${envelope.payloadType}, not ${payloadType}`);
  }
  const signers = new Set(findSigners(envelope, keys).flatMap(({ key }) => (key ? [spkiOf(key)] : [])));
  // A threshold below one would be met by nobody's signature (hardening N08).
  if (threshold >= 1 && signers.size >= threshold) return;
  throw new TrustError("SIGNATURE", `signed by ${signers.size} of the keys that count, ${threshold} must`);
}

export interface FoundSigner {
  /** What the signature names. */
  readonly keyId: string;
  /** Undefined: it is by none of the keys. */
  readonly key: Key | undefined;
}

/** Of each signature in the envelope, in order, which of `keys` made it. What the envelope holds is not looked at. */
export function findSigners({ payloadType, payload, signatures }: Envelope, keys: readonly Key[]): FoundSigner[] {
  const byId = new Map<string, Key>(keys.map((key) => [canonicalKeyId(key), key]));
  const message = preAuthEncoding(payloadType, payload);
  return signatures.map(({ keyId, sig }) => {
    const key = byId.get(keyId);
    return { keyId, key: key && verifyDetached(key, message, sig) ? key : undefined };
  });
}

/** The bytes of an envelope of `payload`, signed by each of `signers`. */
export function signEnvelope(payloadType: string, payload: Uint8Array, signers: readonly EnvelopeSigner[]): Buffer {
  return addSignatures({ payloadType, payload: Buffer.from(payload), signatures: [] }, signers);
}

/** The bytes of the envelope with more signatures; those that are there stay as they are. */
export function addSignatures(
  { payloadType, payload, signatures }: Envelope,
  signers: readonly EnvelopeSigner[],
): Buffer {
  const message = preAuthEncoding(payloadType, payload);
  const added = signers.map(({ keyId, sign }) => ({ keyId, sig: Buffer.from(sign(message)) }));
  const wire = [...signatures, ...added].map(({ keyId, sig }) => ({ keyid: keyId, sig: sig.toString("base64") }));
  return Buffer.from(JSON.stringify({ payload: payload.toString("base64"), payloadType, signatures: wire }));
}
