/** @see image-spec v1.1 media-types.md; docker "Image Manifest V 2, Schema 2" */
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

export type ManifestMediaType =
  | typeof OCI_MANIFEST
  | typeof OCI_INDEX
  | typeof DOCKER_MANIFEST
  | typeof DOCKER_MANIFEST_LIST;

const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;
const NON_DISTRIBUTABLE =
  /^application\/vnd\.(?:oci\.image\.layer\.nondistributable\.v1\.tar|docker\.image\.rootfs\.foreign\.diff\.tar)/;

export function isManifestMediaType(text: string): text is ManifestMediaType {
  return isImageMediaType(text) || isIndexMediaType(text);
}

export function isImageMediaType(text: string): boolean {
  return text === OCI_MANIFEST || text === DOCKER_MANIFEST;
}

export function isIndexMediaType(text: string): boolean {
  return text === OCI_INDEX || text === DOCKER_MANIFEST_LIST;
}

export function isSchema1(text: string): boolean {
  return SCHEMA_1.test(text);
}

/** Layers that a registry need not hold: Windows base layers and the like. */
export function isNonDistributable(mediaType: string): boolean {
  return NON_DISTRIBUTABLE.test(mediaType);
}
