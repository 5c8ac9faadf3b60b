import { digestOf } from "../../oci/digest.ts";
import { findObject, isJsonObject, type Json, type JsonObject } from "../../oci/json.ts";
import { maxManifestBytes, parseManifest } from "../../oci/manifest.ts";
import { isIndexMediaType } from "../../oci/media-types.ts";
import type { RepositoryName } from "../../oci/repository-name.ts";
import type { Artifact } from "../../trust/subject.ts";
import { BridgeError } from "../errors.ts";
import { parseImageReference } from "../image-reference.ts";
import { getManifest } from "../manifests.ts";
import type { RegistryClient } from "../registry-client.ts";
import type { Platform } from "./need.ts";

type Registry = Pick<RegistryClient, "find">;

/**
 * For what an image was made: the entries of its index, or what its configuration says. Empty where that is not said, so
 * that any node will do. The engine itself would start it anywhere and fail there.
 * @param pinned `host:port/org/app@sha256:…`
 * @throws BridgeError REGISTRY; OciError MANIFEST_INVALID
 */
export async function readPlatforms(registry: Registry, pinned: string, authority: string): Promise<Platform[]> {
  const { repository, digest } = parseImageReference(pinned, authority);
  if (digest === undefined) throw new Error(`${pinned} is not pinned`);
  const artifact = await getManifest(registry, repository, digest);
  const { mediaType, blobs } = parseManifest(artifact.bytes, artifact.mediaType);
  const found = isIndexMediaType(mediaType)
    ? toEntries(artifact)
    : [await findConfig(registry, repository, blobs[0]?.digest)];
  const platforms = found.flatMap((entry) => toPlatform(entry) ?? []);
  return platforms.some(({ os, arch }) => os === "" && arch === "") ? [] : distinct(platforms);
}

function toEntries({ bytes }: Artifact): (JsonObject | undefined)[] {
  const { manifests } = findObject(bytes) ?? {};
  const entries: readonly Json[] = Array.isArray(manifests) ? manifests : [];
  return entries.map((entry) => {
    const platform = isJsonObject(entry) ? entry.platform : undefined;
    return isJsonObject(platform) ? platform : undefined;
  });
}

/** A help for whoever deploys, and no proof of anything: a registry that does not show it keeps nobody from deploying. */
async function findConfig(
  registry: Registry,
  repository: RepositoryName,
  digest: string | undefined,
): Promise<JsonObject | undefined> {
  if (digest === undefined) return undefined;
  const path = `/v2/${repository}/blobs/${digest}`;
  const ask = { path, maxBytes: maxManifestBytes, scope: `repository:${repository}:pull` };
  const answer = await registry.find(ask).catch((error: unknown) => {
    if (error instanceof BridgeError && error.code === "REGISTRY") return undefined;
    throw error;
  });
  return answer === undefined || digestOf(answer.body) !== digest ? undefined : findObject(answer.body);
}

/** Undefined: what can be run nowhere, such as a statement beside the images of an index. */
function toPlatform(entry: JsonObject | undefined): Platform | undefined {
  const text = (value: Json | undefined): string => (typeof value === "string" ? value : "");
  const [os, arch] = [text(entry?.os), text(entry?.architecture)];
  if (os === "unknown" || arch === "unknown") return undefined;
  // Nodes say armv7l or armv6l, images arm: they would never meet (swarmkit 2294).
  return { os, arch: arch === "arm" ? "" : arch };
}

function distinct(platforms: readonly Platform[]): Platform[] {
  return [...new Map(platforms.map((platform) => [`${platform.os}/${platform.arch}`, platform])).values()];
}
