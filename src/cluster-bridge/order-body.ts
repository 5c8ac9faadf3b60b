import type { z } from "zod";
import { TrustError } from "../trust/error.ts";
import { readStrict } from "../trust/strict-json.ts";
import { BridgeError } from "./errors.ts";

/**
 * What an order is over, as JSON that `schema` describes.
 * @param what how the message calls it
 * @throws BridgeError SPEC with everything that is wrong
 */
export function readBody<T>(bytes: Uint8Array, schema: z.ZodType<T>, what: string): T {
  try {
    return readStrict(bytes, schema, what);
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw new BridgeError("SPEC", cause.message, { cause });
  }
}
