import { type Digest, parseDigest } from "../oci/digest.ts";
import { parseTag, type Tag } from "../oci/reference.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import { BridgeError } from "./errors.ts";

/** `host:port/org/app:tag`, `…@sha256:…`, or both. */
export interface ImageReference {
  readonly authority: string;
  readonly repository: RepositoryName;
  readonly tag: Tag | undefined;
  /** SHA-256. */
  readonly digest: Digest | undefined;
}

/**
 * An image of this registry, named whole: without a host an engine would pull from elsewhere, without tag and digest it
 * would take `latest`, and `sha256:…` alone is whatever a node happens to have (hardening C06).
 * @throws BridgeError IMAGE; OciError NAME_INVALID, TAG_INVALID, DIGEST_INVALID
 */
export function parseImageReference(text: string, authority: string): ImageReference {
  const shown = JSON.stringify(text.slice(0, 300));
  if (!text.startsWith(`${authority}/`)) throw new BridgeError("IMAGE", `${shown} is no image of ${authority}`);
  const [, name = "", tag, digest] = /^([^:@]*)(?::([^:@]*))?(?:@(.*))?$/s.exec(text.slice(authority.length + 1)) ?? [];
  const reference = {
    ...{ authority, repository: parseRepositoryName(name) },
    tag: tag === undefined ? undefined : parseTag(tag),
    digest: digest === undefined ? undefined : parseDigest(digest),
  };
  if (reference.tag === undefined && reference.digest === undefined)
    throw new BridgeError("IMAGE", `${shown} has neither a tag nor a digest`);
  if (reference.digest?.startsWith("sha512:"))
    throw new BridgeError("IMAGE", "trust data knows images by SHA-256 alone");
  return reference;
}

/** What an engine is told: nothing that can come to mean something else. */
export function toPinned(
  { authority, repository }: Pick<ImageReference, "authority" | "repository">,
  digest: Digest,
): string {
  return `${authority}/${repository}@${digest}`;
}
