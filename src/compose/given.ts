import type { Json, JsonObject } from "../oci/json.ts";

/** A member where there is something to say; what is empty goes without saying. */
export function given(name: string, value: Json | undefined): JsonObject {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && Object.keys(value).length === 0) return {};
  return { [name]: value };
}

/** A time that is not zero: zero means what nothing means. */
export function givenSpan(name: string, span: string | undefined): JsonObject {
  return span === undefined || /^0m?s$/.test(span) ? {} : { [name]: span };
}
