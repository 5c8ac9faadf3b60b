import { z } from "zod";
import { type Key, spkiOf } from "../notary/tuf/key.ts";
import { parseEnvelope, verifyEnvelope } from "./dsse.ts";
import { TrustError } from "./error.ts";
import { readStrict } from "./strict-json.ts";

/** No other thing that such a key signs in DSSE has this type. */
export const APPROVAL_TYPE = "application/vnd.goldseal.approval.v1+json";

/** What somebody agrees to, and to nothing else: this image, from there to here, asked for once. */
export interface Approval {
  /** Id of the asking, so that nobody can say it again for a later one. */
  readonly promotion: number;
  readonly digest: string;
  /** GUN: with host and port of the server, as what one server was told means nothing to another. */
  readonly source: string;
  /** GUN. */
  readonly destination: string;
  /** At the destination. */
  readonly tag: string;
}

const approvalSchema = z.strictObject({
  promotion: z.int().min(1),
  digest: z.string(),
  source: z.string(),
  destination: z.string(),
  tag: z.string(),
});

/** The payload to sign. */
export function toApprovalPayload({ promotion, digest, source, destination, tag }: Approval): Buffer {
  return Buffer.from(JSON.stringify({ promotion, digest, source, destination, tag }));
}

/**
 * Whether one of `keys` signed just this, and which.
 * @returns hex SHA-256 of the key's SPKI
 * @throws TrustError MALFORMED, SIGNATURE, BINDING
 */
export function verifyApproval(envelope: Uint8Array, expected: Approval, keys: readonly Key[]): string {
  const opened = parseEnvelope(envelope);
  const signed = keys.find((key) => isBy(opened, key));
  if (signed === undefined) {
    throw new TrustError("SIGNATURE", "none of the approver's proved keys signed this approval");
  }
  const stated = readStrict(opened.payload, approvalSchema, "the approval");
  for (const name of ["promotion", "digest", "source", "destination", "tag"] as const) {
    if (stated[name] !== expected[name])
      throw new TrustError("BINDING", `approves another ${name}: ${stated[name]}, not ${expected[name]}`);
  }
  return spkiOf(signed) ?? "";
}

function isBy(envelope: ReturnType<typeof parseEnvelope>, key: Key): boolean {
  try {
    verifyEnvelope(envelope, { payloadType: APPROVAL_TYPE, keys: [key], threshold: 1 });
    return true;
  } catch (error) {
    if (error instanceof TrustError && error.code === "SIGNATURE") return false;
    throw error;
  }
}
