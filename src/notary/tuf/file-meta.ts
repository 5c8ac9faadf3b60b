import type { Json } from "../../oci/json.ts";
import { VerificationError } from "./error.ts";
import { readBase64, readEntries, readInteger, readObject } from "./fields.ts";

/** What one file says about another, or about a target. */
export interface FileMeta {
  /** Bytes. */
  readonly length: number;
  /** `sha256` → 32 bytes, `sha512` → 64 bytes; other algorithms as they came. */
  readonly hashes: ReadonlyMap<string, Buffer>;
}

const HASH_BYTES: ReadonlyMap<string, number> = new Map([
  ["sha256", 32],
  ["sha512", 64],
]);

/** @throws VerificationError MALFORMED, STRUCTURE */
export function readFileMeta(value: Json, what: string): FileMeta {
  const entry = readObject(value, what, ["length", "hashes", "custom"]);
  const length = readInteger(entry.length, "a length");
  if (length < 0) throw new VerificationError("STRUCTURE", `${what} has a negative length`);
  return { length, hashes: new Map(readEntries(entry.hashes, "hashes").map(([name, hash]) => readHash(name, hash))) };
}

/** Standard base64, and for what we know the right length: half a hash would match too much. */
function readHash(name: string, value: Json): [string, Buffer] {
  const hash = readBase64(value, "a hash");
  const expected = HASH_BYTES.get(name);
  if (expected !== undefined && hash.length !== expected) {
    throw new VerificationError("STRUCTURE", `invalid ${name} checksum length: ${hash.length} bytes`);
  }
  return [name, hash];
}
