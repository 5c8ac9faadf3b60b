import { isJsonObject, type Json, JsonError, parseJson } from "../../oci/json.ts";
import { VerificationError } from "./error.ts";

/**
 * Go's canonical JSON, which every signature covers: keys sorted by their UTF-8 bytes, no spaces, whole numbers, and in
 * strings only `\` and `"` escaped: all other characters stand as they are.
 *
 * The text must read back as itself: what does not (control characters, which stand unescaped here) could be signed as
 * one document and read as another (hardening T18).
 * @throws VerificationError MALFORMED for fractions and for text that does not read back
 */
export function toCanonical(value: Json): Buffer {
  const text = encode(value);
  const bytes = Buffer.from(text);
  // All else that `encode` writes is JSON in its one canonical form: there is no need to read that back.
  if (DOUBTFUL.test(text) && !bytes.equals(Buffer.from(encode(readBack(bytes))))) {
    throw new VerificationError("MALFORMED", "the canonical form of this document is another document");
  }
  return bytes;
}

/** Control characters stand unescaped, and half of a surrogate pair becomes another character in UTF-8. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly what RFC 8259 section 7 forbids
const DOUBTFUL = /[\u0000-\u001f]|[\ud800-\udfff]/;

/** JSON text that a Go server writes: the canonical form with the characters escaped that HTML gives a meaning. */
export function toWireText(canonical: Uint8Array): string {
  return Buffer.from(canonical)
    .toString()
    .replace(/[<>&\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function readBack(bytes: Uint8Array): Json {
  try {
    return parseJson(bytes);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new VerificationError("MALFORMED", `the canonical form cannot be read: ${cause.message}`, { cause });
  }
}

function encode(value: Json | undefined): string {
  if (typeof value === "string") return encodeString(value);
  if (typeof value === "number") return encodeNumber(value);
  if (Array.isArray(value)) return `[${value.map(encode).join(",")}]`;
  if (!isJsonObject(value)) return String(value ?? null);
  return `{${sortedKeys(value)
    .map((key) => `${encodeString(key)}:${encode(value[key])}`)
    .join(",")}}`;
}

const encodeString = (text: string): string => `"${text.replace(/[\\"]/g, "\\$&")}"`;

function encodeNumber(value: number): string {
  if (!Number.isSafeInteger(value)) throw new VerificationError("MALFORMED", `unsupported value: ${value}`);
  return String(value);
}

/**
 * JavaScript sorts by UTF-16 units, which puts U+10000 before U+FF61; everybody else sorts bytes. Without characters above
 * U+FFFF the two orders are one.
 */
function sortedKeys(object: object): string[] {
  const keys = Object.keys(object);
  if (!keys.some((key) => SURROGATE.test(key))) return keys.sort();
  return keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

const SURROGATE = /[\ud800-\udfff]/;
