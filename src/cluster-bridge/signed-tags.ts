import type { TargetFile } from "../notary/tuf/metadata.ts";
import type { TrustedMetadata } from "../notary/tuf/trusted-metadata.ts";
import { countingRoles, resolveTarget } from "../notary/tuf/trusted-targets.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";

/**
 * What trust data says the tag is; without a tag, `digest` itself, where some tag is that. Undefined where nobody whose word
 * counts says anything of it, or names no SHA-256.
 */
export function findSigned(
  trusted: TrustedMetadata,
  tag: Tag | undefined,
  digest: Digest | undefined,
): Digest | undefined {
  if (tag !== undefined) return findDigest(trusted, tag);
  const names = new Set(countingRoles(trusted).flatMap(({ targets }) => [...targets.targets.keys()]));
  return [...names].some((name) => findDigest(trusted, name) === digest) ? digest : undefined;
}

function findDigest(trusted: TrustedMetadata, name: string): Digest | undefined {
  const file = resolveTarget(trusted, name)?.file;
  return file && sha256Of(file);
}

function sha256Of({ hashes }: TargetFile): Digest | undefined {
  const hash = hashes.get("sha256");
  return hash && parseDigest(`sha256:${hash.toString("hex")}`);
}
