import type { z } from "zod";
import { isJsonObject, type Json, JsonError, parseJson } from "../oci/json.ts";
import { TrustError } from "./error.ts";

/**
 * The bytes as `schema` describes them, with everything that is wrong in one message.
 * @param what how the message calls the document
 * @throws TrustError MALFORMED
 */
export function readStrict<T>(bytes: Uint8Array, schema: z.ZodType<T>, what: string): T {
  const value = parse(bytes, what);
  // zod reads past this one key, strict or not.
  if (holdsProto(value)) throw new TrustError("MALFORMED", `${what} has a member __proto__`);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.map(String).join(".") || what}: ${message}`);
  throw new TrustError("MALFORMED", wrong.join("; "));
}

function parse(bytes: Uint8Array, what: string): Json {
  try {
    return parseJson(bytes);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new TrustError("MALFORMED", `${what} is not good JSON: ${cause.message}`, { cause });
  }
}

function holdsProto(value: Json | undefined): boolean {
  if (Array.isArray(value)) return value.some(holdsProto);
  return isJsonObject(value) && Object.keys(value).some((key) => key === "__proto__" || holdsProto(value[key]));
}

/** Standard base64 in its one spelling; undefined for everything else, so that equal bytes are equal text. */
export function findBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}
