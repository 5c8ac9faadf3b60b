import type { z } from "zod";
import type { Request } from "../http/request.ts";
import { type Json, JsonError, type JsonObject, parseJson } from "../oci/json.ts";
import { invalidRequest } from "./errors.ts";

/** Largest JSON body that the REST API takes. */
export const maxRestBodyBytes = 64 * 1024;

/** @throws OrgsError invalid-request with everything that is wrong; unknown fields are the schema's to refuse */
export async function readRestBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(parseBytes(await request.body()));
  if (parsed.success) {
    request.asked = withoutSecrets(parsed.data);
    return parsed.data;
  }
  const wrong = parsed.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join(".")}: ${message}` : message,
  );
  throw invalidRequest(wrong.join("; "));
}

function parseBytes(body: Buffer): unknown {
  try {
    // zod wants plain objects; what the parser returns has no prototype and no key twice.
    return parseJson(body);
  } catch (error) {
    if (error instanceof JsonError) throw invalidRequest(`the body is not good JSON: ${error.message}`);
    throw error;
  }
}

const SECRET = /password|secret|token/i;

/** The first level tells what was asked for; what is called a secret is only said to be there. */
function withoutSecrets(body: unknown): JsonObject {
  if (typeof body !== "object" || body === null) return {};
  const fields = Object.entries(body).map(([name, value]) => [name, SECRET.test(name) ? "(secret)" : (value as Json)]);
  return { asked: Object.fromEntries(fields) };
}
