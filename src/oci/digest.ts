import { createHash, type Hash } from "node:crypto";
import { OciError } from "./error.ts";

/** `<algorithm>:<lower-case hex>` of a registered algorithm; only {@link parseDigest} and the hashers make one. */
export type Digest = string & { readonly __brand: "Digest" };
export type DigestAlgorithm = "sha256" | "sha512";

const HEX_LENGTH: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };
const PATTERN = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

/**
 * @throws OciError DIGEST_INVALID for anything but sha256 or sha512 with exactly its length of lower-case hex
 * @see image-spec v1.1 descriptor.md "Digests", "Registered algorithms"
 */
export function parseDigest(text: unknown): Digest {
  if (typeof text !== "string" || !PATTERN.test(text)) {
    throw new OciError("DIGEST_INVALID", {
      message: "a digest is sha256:<64 lower-case hex digits> or sha512:<128 lower-case hex digits>",
    });
  }
  return text as Digest;
}

export function isDigest(text: string): boolean {
  return PATTERN.test(text);
}

/** @throws OciError DIGEST_INVALID when the registry does not hash with `text` */
export function parseDigestAlgorithm(text: string): DigestAlgorithm {
  if (text !== "sha256" && text !== "sha512") {
    throw new OciError("DIGEST_INVALID", { message: "digest-algorithm is sha256 or sha512" });
  }
  return text;
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** The hex part, safe as a file name: its characters are checked when the digest is made. */
export function hexOf(digest: Digest): string {
  return digest.slice(-HEX_LENGTH[algorithmOf(digest)]);
}

export function digestOf(content: Uint8Array | string, algorithm: DigestAlgorithm = "sha256"): Digest {
  return `${algorithm}:${createHash(algorithm).update(content).digest("hex")}` as Digest;
}

/** Hashes a stream; `digest()` may be called once. */
export class DigestHasher {
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: Hash;

  constructor(algorithm: DigestAlgorithm) {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest("hex")}` as Digest;
  }
}
