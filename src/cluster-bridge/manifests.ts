import { type Digest, digestOf } from "../oci/digest.ts";
import { maxManifestBytes } from "../oci/manifest.ts";
import { DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST } from "../oci/media-types.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Artifact } from "../trust/subject.ts";
import { BridgeError } from "./errors.ts";
import type { RegistryClient } from "./registry-client.ts";

const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_MANIFEST_LIST, DOCKER_MANIFEST].join(", ");

/**
 * The manifest of this digest; never of a tag, which may mean something else in the next moment (hardening N12).
 * @throws BridgeError REGISTRY where it is not there, or its bytes are others
 */
export async function getManifest(
  registry: Pick<RegistryClient, "find">,
  repository: RepositoryName,
  digest: Digest,
): Promise<Artifact> {
  const answer = await registry.find({
    ...{ path: `/v2/${repository}/manifests/${digest}`, headers: { accept: ACCEPT } },
    ...{ maxBytes: maxManifestBytes, scope: `repository:${repository}:pull` },
  });
  if (answer === undefined) throw new BridgeError("REGISTRY", `${repository}@${digest} is not in the registry`);
  const { headers, body } = answer;
  // T01, D08: what it says in its headers is nothing.
  if (digestOf(body) !== digest) {
    throw new BridgeError("REGISTRY", `what the registry gave as ${repository}@${digest} is ${digestOf(body)}`);
  }
  return { digest, bytes: body, mediaType: headers["content-type"] };
}
