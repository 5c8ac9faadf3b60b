import type { z } from "zod";
import type { Request } from "../http/request.ts";
import { JsonError, parseJson } from "../oci/json.ts";
import { invalidRequest } from "./errors.ts";

/** Largest JSON body that the REST API takes. */
export const maxRestBodyBytes = 64 * 1024;

/** @throws OrgsError invalid-request with everything that is wrong; unknown fields are the schema's to refuse */
export async function readRestBody<T>(request: Request, schema: z.ZodType<T>): Promise<T> {
  const parsed = schema.safeParse(parseBytes(await request.body()));
  if (parsed.success) return parsed.data;
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
