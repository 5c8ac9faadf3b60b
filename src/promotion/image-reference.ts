import { type Digest, parseDigest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { parseTag, type Tag } from "../oci/reference.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";

/** `dev/app:1.4`, `dev/app@sha256:…`, or both. */
export interface ImageReference {
  readonly repository: RepositoryName;
  readonly tag: Tag | undefined;
  readonly digest: Digest | undefined;
}

/** As clients write an image, without the registry's host. @throws OciError NAME_INVALID */
export function parseImageReference(text: string): ImageReference {
  const [, name = "", tag, digest] = /^([^:@]*)(?::([^@]*))?(?:@(.*))?$/s.exec(text) ?? [];
  try {
    return {
      repository: parseRepositoryName(name),
      tag: tag === undefined ? undefined : parseTag(tag),
      digest: digest === undefined ? undefined : parseDigest(digest),
    };
  } catch (cause) {
    if (!(cause instanceof OciError)) throw cause;
    const message = `${JSON.stringify(text.slice(0, 300))} is no image: ${cause.message}`;
    throw new OciError("NAME_INVALID", { message, cause });
  }
}
