import { foldKey, isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";
import { VerificationError } from "./error.ts";

/**
 * `value` as an object whose `known` members are spelled exactly. Go clients take `Version`, `VERSION` and `verſion` for
 * `version`, and the last of them wins: they would read another file than we judged (hardening T19).
 * @throws VerificationError MALFORMED
 */
export function readObject(value: Json | undefined, what: string, known: readonly string[]): JsonObject {
  if (!isJsonObject(value)) throw malformed(`${what} is not an object`);
  for (const key of Object.keys(value)) {
    if (!known.includes(key) && known.includes(foldKey(key))) {
      throw malformed(`${what} has a member ${JSON.stringify(key.slice(0, 32))} that others read as ${foldKey(key)}`);
    }
  }
  return value;
}

/** As {@link readObject}, but `null` and absent are an object without members, as Go reads them. */
export function readOptionalObject(value: Json | undefined, what: string, known: readonly string[] = []): JsonObject {
  return value === undefined || value === null ? {} : readObject(value, what, known);
}

/** A map's members in the order of the file; keys mean exactly what they say. `null` and absent are empty. */
export function readEntries(value: Json | undefined, what: string): [string, Json][] {
  const object = readOptionalObject(value, what);
  return Object.keys(object).map((key) => [key, object[key] as Json]);
}

/** `null` and absent are an empty list, as Go reads them (a client that removed its last delegation sends `null`). */
export function readArray(value: Json | undefined, what: string): readonly Json[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw malformed(`${what} is not a list`);
  return value as readonly Json[];
}

export function readString(value: Json | undefined, what: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw malformed(`${what} is not a string`);
  return value;
}

export function readInteger(value: Json | undefined, what: string): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw malformed(`${what} is not a whole number`);
  return value;
}

/** Standard base64 with padding in its one canonical spelling, so that equal bytes are equal text. */
export function readBase64(value: Json | undefined, what: string): Buffer {
  const text = readString(value, what);
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) throw malformed(`${what} is not base64`);
  return bytes;
}

const TIME =
  /^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** RFC 3339 with its zone; absent is the year 1, as Go reads it: long expired. */
export function readTime(value: Json | undefined, what: string): Date {
  if (value === undefined || value === null) return new Date("0001-01-01T00:00:00Z");
  const text = readString(value, what);
  const [, year, month, day] = TIME.exec(text) ?? [];
  // 30 February is no day, though JavaScript takes it for the 2nd of March.
  const date = new Date(`${year}-${month}-${day}T00:00:00Z`);
  if (Number.isNaN(date.getTime()) || date.getUTCDate() !== Number(day)) {
    throw malformed(`${what} is not a time with its zone`);
  }
  return new Date(text);
}

function malformed(message: string): VerificationError {
  return new VerificationError("MALFORMED", message);
}
