import { z } from "zod";
import type { Approval } from "./approvals-store.ts";
import { PROMOTION_STATES, type Promotion } from "./promotions-store.ts";
import { gatesSchema } from "./terms.ts";

const imageSchema = z.strictObject({
  repository: z.string().nullable().describe("null: hidden from you"),
  tag: z.string().nullable(),
});

export const promotionSchema = z.strictObject({
  id: z.int(),
  state: z.enum(PROMOTION_STATES),
  reason: z.string().nullable().describe("why it is neither done nor just waiting"),
  source: imageSchema.describe("without a tag: asked for by its digest"),
  destination: imageSchema,
  digest: z.string(),
  previous: z.string().nullable().describe("what the destination's tag was until then"),
  policy: z.string().nullable().describe("of the source; null: by rights on both sides"),
  askedBy: z.string(),
  askedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().describe("when nobody waits for approvals any more"),
  endedAt: z.iso.datetime().nullable(),
  required: gatesSchema,
  approvals: z.array(
    z.strictObject({ user: z.string(), at: z.iso.datetime(), keySha256: z.string().describe("of the SPKI") }),
  ),
  gates: z.array(
    z.strictObject({
      gate: z.string(),
      allowed: z.boolean(),
      who: z.array(z.string()).describe("whose signatures counted"),
      missing: z.array(z.string()),
    }),
  ),
  statement: z
    .strictObject({
      manifest: z.string().describe("digest of the manifest that refers to the image with it"),
      envelope: z.string().describe("DSSE, in base64"),
    })
    .nullable(),
});

export interface Seen {
  readonly source: boolean;
  readonly destination: boolean;
}

export function toWire(
  promotion: Promotion,
  approvals: readonly Approval[],
  sees: Seen,
): z.infer<typeof promotionSchema> {
  const { id, state, reason, digest, previous, policy, askedBy, terms, gates, statement, statementDigest } = promotion;
  return {
    ...{ id, state, reason: reason ?? null, digest, previous: previous ?? null, policy: policy?.name ?? null, askedBy },
    source: {
      repository: sees.source ? promotion.source : null,
      tag: sees.source ? (promotion.sourceTag ?? null) : null,
    },
    destination: {
      repository: sees.destination ? promotion.destination : null,
      tag: sees.destination ? promotion.tag : null,
    },
    askedAt: promotion.askedAt.toISOString(),
    expiresAt: promotion.expiresAt.toISOString(),
    endedAt: promotion.endedAt?.toISOString() ?? null,
    required: terms,
    approvals: approvals.map(({ user, at, keySha256 }) => ({ user, at: at.toISOString(), keySha256 })),
    gates: gates.map((one) => ({ ...one, who: [...one.who], missing: [...one.missing] })),
    statement:
      statement === undefined || statementDigest === undefined || !(sees.source && sees.destination)
        ? null
        : { manifest: statementDigest, envelope: statement.toString("base64") },
  };
}
