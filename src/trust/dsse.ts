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
  const byId = new Map<string, Key>(keys.map((key) => [canonicalKeyId(key), key]));
  const message = preAuthEncoding(envelope.payloadType, envelope.payload);
  const signers = new Set<string | undefined>();
  for (const { keyId, sig } of envelope.signatures) {
    const key = byId.get(keyId);
    if (key && verifyDetached(key, message, sig)) signers.add(spkiOf(key));
  }
  // A threshold below one would be met by nobody's signature (hardening N08).
  if (threshold >= 1 && signers.size >= threshold) return;
  throw new TrustError("SIGNATURE", `signed by ${signers.size} of the keys that count, ${threshold} must`);
}

/** The bytes of an envelope of `payload`, signed by each of `signers`. */
export function signEnvelope(payloadType: string, payload: Uint8Array, signers: readonly EnvelopeSigner[]): Buffer {
  const message = preAuthEncoding(payloadType, payload);
  const encode = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const signatures = signers.map(({ keyId, sign }) => ({ keyid: keyId, sig: encode(sign(message)) }));
  return Buffer.from(JSON.stringify({ payload: encode(payload), payloadType, signatures }));
}
