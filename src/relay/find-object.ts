import { isJsonObject, JsonError, type JsonObject, parseJson } from "../oci/json.ts";

/** The object of a line, or of a body; undefined for what is none. */
export function findObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = parseJson(bytes);
    return isJsonObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
