/** What clients of a registry read of its challenge and of its token service. */
import { isJsonObject, type Json, JsonError, type JsonObject, parseJson } from "./json.ts";

/** A JSON object; empty where the body is none. */
export function readObject(body: Buffer): JsonObject {
  let value: Json;
  try {
    value = parseJson(body);
  } catch (error) {
    if (error instanceof JsonError) return {};
    throw error;
  }
  return isJsonObject(value) ? value : {};
}

/** One of `WWW-Authenticate`, without its quotes; empty where there is none. @see RFC 7235 section 4.1 */
export function readParameter(header: string, name: string): string {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(header)?.[1] ?? "";
}
