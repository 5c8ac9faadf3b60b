import { z } from "zod";
import { nameSchema } from "./require.ts";
import { readStrict } from "./strict-json.ts";

/** The `payloadType` of a break-glass statement. */
export const BREAK_GLASS_TYPE = "goldseal.breakglass/v1";

/** How long one may be good. */
export const MAX_BREAK_GLASS_MS = 24 * 3_600_000;

const time = z.iso.datetime({ offset: true });
const statementSchema = z.strictObject({
  environment: nameSchema,
  /** `host:port/org/app@sha256:…`: these bytes and no others. */
  image: z.string().max(1024),
  /** For whoever reads the journal. */
  reason: z.string().min(10).max(2000),
  issued: time,
  expires: time,
});

/** One image in one environment may run though people have not signed it, because the holders of the policy keys say so. */
export type BreakGlassStatement = z.infer<typeof statementSchema>;

/** Its form alone. @throws TrustError MALFORMED */
export const parseBreakGlassStatement = (payload: Uint8Array): BreakGlassStatement =>
  readStrict(payload, statementSchema, "the break-glass statement");
