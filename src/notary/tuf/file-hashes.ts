import { VerificationError } from "./error.ts";
import type { FileMeta } from "./file-meta.ts";
import { sha256Of, sha512Of } from "./signed-file.ts";

export function toFileMeta(bytes: Uint8Array): FileMeta {
  const hashes = new Map([
    ["sha256", sha256Of(bytes)],
    ["sha512", sha512Of(bytes)],
  ]);
  return { length: bytes.length, hashes };
}

/**
 * `bytes` are the file that `meta` speaks of, by every hash it gives.
 * @throws VerificationError MISMATCH
 * @see TUF 1.0 section 5.6.2; hardening T07: a mix of files that were never published together
 */
export function verifyHashes(bytes: Uint8Array, role: string, meta: FileMeta | undefined): void {
  const [sha256, sha512] = [meta?.hashes.get("sha256"), meta?.hashes.get("sha512")];
  if (!sha256 && !sha512) throw new VerificationError("MISMATCH", `tuf: sha256 checksum required for ${role}`);
  if (sha256 && !sha256Of(bytes).equals(sha256)) throw mismatch("sha256", role, sha256);
  if (sha512 && !sha512Of(bytes).equals(sha512)) throw mismatch("sha512", role, sha512);
}

function mismatch(algorithm: string, role: string, expected: Buffer): VerificationError {
  const message = `${algorithm} checksum for ${role} did not match: expected ${expected.toString("hex")}`;
  return new VerificationError("MISMATCH", message);
}
