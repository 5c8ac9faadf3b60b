import { parseManifest } from "../oci/manifest.ts";
import { isImageMediaType } from "../oci/media-types.ts";
import { BridgeError } from "./errors.ts";
import { parseImageReference } from "./image-reference.ts";
import { getManifest } from "./manifests.ts";
import type { RegistryClient } from "./registry-client.ts";

const MAX_CHILDREN = 64;

export interface Identities {
  readonly digests: readonly string[];
  /** The registry did not have all that the index lists: an engine may call it by another digest yet. */
  readonly isPartial: boolean;
}

/**
 * Every digest by which an engine may call what was pulled as `pinned`: of each platform's config (as 20.10 does), of its
 * manifest, and of the index itself (as engines with containerd's store do). All follow from the signed digest alone.
 * @throws BridgeError REGISTRY, IMAGE; OciError MANIFEST_INVALID
 * @see docs/decisions/0051
 */
export async function readIdentities(
  registry: Pick<RegistryClient, "find">,
  pinned: string,
  authority: string,
): Promise<Identities> {
  const { repository, digest } = parseImageReference(pinned, authority);
  if (digest === undefined) throw new BridgeError("IMAGE", `${pinned} has no digest`);
  const { bytes, mediaType } = await getManifest(registry, repository, digest);
  const outer = parseManifest(bytes, mediaType);
  if (isImageMediaType(outer.mediaType)) return { digests: [digest, ...configOf(outer)], isPartial: false };
  const children = outer.children.slice(0, MAX_CHILDREN).map(async (child) => {
    const manifest = await getManifest(registry, repository, child.digest).catch((error: unknown) => {
      // An index may list platforms that nobody pushed; or the registry hides them for now.
      if (error instanceof BridgeError && error.message.endsWith("is not in the registry")) return undefined;
      throw error;
    });
    if (manifest === undefined) return undefined;
    const inner = parseManifest(manifest.bytes, manifest.mediaType);
    return [child.digest, ...(isImageMediaType(inner.mediaType) ? configOf(inner) : [])];
  });
  const read = await Promise.all(children);
  const isPartial = outer.children.length > MAX_CHILDREN || read.includes(undefined);
  return { digests: [digest, ...read.flatMap((digests) => digests ?? [])], isPartial };
}

const configOf = ({ blobs }: ReturnType<typeof parseManifest>): string[] =>
  blobs.slice(0, 1).map(({ digest }) => digest);
