import { type Digest, isDigest, parseDigest } from "./digest.ts";
import { OciError } from "./error.ts";

export type Tag = string & { readonly __brand: "Tag" };
export type Reference =
  | { readonly kind: "tag"; readonly tag: Tag }
  | { readonly kind: "digest"; readonly digest: Digest };

const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const REFERRERS_TAG = /^(sha256|sha512)-([0-9a-f]{64})$/;

export function isTag(text: string): text is Tag {
  return TAG.test(text);
}

/** @throws OciError TAG_INVALID */
export function parseTag(text: string): Tag {
  if (!isTag(text)) {
    throw new OciError("TAG_INVALID", {
      message: "a tag is 1 to 128 letters, digits, _ . or -, and does not start with . or -",
    });
  }
  return text;
}

/**
 * `<tag-or-digest>`: whatever holds a colon is meant as a digest.
 * @throws OciError TAG_INVALID, DIGEST_INVALID
 */
export function parseReference(text: string): Reference {
  if (isDigest(text)) return { kind: "digest", digest: text as Digest };
  if (text.includes(":")) return { kind: "digest", digest: parseDigest(text) };
  return { kind: "tag", tag: parseTag(text) };
}

/** Whether clients without the referrers API keep their list under this tag (distribution-spec "Referrers Tag Schema"). */
export function isReferrersTag(tag: Tag): boolean {
  return REFERRERS_TAG.test(tag);
}
