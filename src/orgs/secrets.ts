import { createHash, randomBytes } from "node:crypto";

const secretBytes = 32;

/** What a secret is of: personal tokens, secrets of robots, refresh tokens. No password begins like one. */
export type SecretKind = "gsp_" | "gsb_" | "gsr_";

const SIGNS_IN = /^gs[pb]_[A-Za-z0-9_-]{43}$/;

export function newSecret(kind: SecretKind): string {
  return kind + randomBytes(secretBytes).toString("base64url");
}

/** Whether it can only be a personal token or the secret of a robot. */
export function looksLikeSecret(text: string): boolean {
  return SIGNS_IN.test(text);
}

/** 256 random bits need no slow hash. */
export function hashOfSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
