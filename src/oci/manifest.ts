import {
  type Descriptor,
  knownFields,
  parseAnnotations,
  parseDescriptor,
  parseMediaType,
  parseObject,
} from "./descriptor.ts";
import { OciError } from "./error.ts";
import { type Json, JsonError, type JsonObject, parseJson } from "./json.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  isImageMediaType,
  isManifestMediaType,
  isSchema1,
  type ManifestMediaType,
  OCI_INDEX,
  OCI_MANIFEST,
} from "./media-types.ts";

/** distribution-spec v1.1 "Pushing Manifests": at least 4 megabytes must be accepted. */
export const maxManifestBytes = 4 * 1024 * 1024;

/** What the registry needs to know of a manifest; its bytes are kept as they came. */
export interface Manifest {
  readonly mediaType: ManifestMediaType;
  readonly subject: Descriptor | undefined;
  /** What the referrers list shows: `artifactType`, else the config's media type of an image. */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** Config, then layers; empty for an index. */
  readonly blobs: readonly Descriptor[];
  /** Entries of an index; empty for an image. */
  readonly children: readonly Descriptor[];
}

const FIELDS = knownFields(
  ...["schemaVersion", "mediaType", "artifactType", "config", "layers", "manifests", "subject", "annotations"],
  ...["fsLayers", "signatures", "blobs"],
);

/**
 * Read a manifest that was sent as `contentType`.
 * @throws OciError MANIFEST_INVALID, DIGEST_INVALID
 * @see image-spec v1.1 manifest.md, image-index.md; CVE-2021-41190 for why one document may not be both
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest {
  const object = parseObject(parseBytes(bytes), "the manifest", FIELDS);
  const mediaType = parseType(object, contentType);
  if (object.schemaVersion !== 2) throw invalid("schemaVersion must be 2");
  const common = {
    mediaType,
    subject: object.subject === undefined ? undefined : parseDescriptor(object.subject, "subject"),
    annotations: object.annotations === undefined ? undefined : parseAnnotations(object.annotations, "annotations"),
  };
  const artifactType =
    object.artifactType === undefined || object.artifactType === ""
      ? undefined
      : parseMediaType(object.artifactType, "artifactType");
  return isImageMediaType(mediaType)
    ? parseImage(object, common, artifactType)
    : parseIndex(object, common, artifactType);
}

type Common = Pick<Manifest, "mediaType" | "subject" | "annotations">;

function parseImage(object: JsonObject, common: Common, artifactType: string | undefined): Manifest {
  refuseFields(object, "an image manifest", "manifests", "fsLayers");
  const config = parseDescriptor(object.config, "config");
  const layers = parseList(object.layers, "layers");
  return { ...common, artifactType: artifactType ?? config.mediaType, blobs: [config, ...layers], children: [] };
}

function parseIndex(object: JsonObject, common: Common, artifactType: string | undefined): Manifest {
  refuseFields(object, "an index", "layers", "config", "fsLayers");
  return { ...common, artifactType, blobs: [], children: parseList(object.manifests, "manifests") };
}

/** Go clients write an empty list as null. */
function parseList(value: Json | undefined, where: string): Descriptor[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`${where} must be a list of descriptors`);
  return value.map((entry, index) => parseDescriptor(entry, `${where}[${index}]`));
}

function refuseFields(object: JsonObject, what: string, ...names: readonly string[]): void {
  const found = names.find((name) => name in object);
  if (found !== undefined) throw invalid(`${what} may not have ${found}; clients could take it for something else`);
}

function parseType(object: JsonObject, contentType: string | undefined): ManifestMediaType {
  const sent = contentType?.split(";")[0]?.trim();
  const own = object.mediaType;
  const type = sent === undefined || sent === "" ? own : sent;
  if ((typeof type === "string" && isSchema1(type)) || object.schemaVersion === 1) {
    throw invalid(
      "schema 1 is not supported: it cannot be verified by digest; push with a client of the last ten years",
    );
  }
  if (typeof type !== "string" || !isManifestMediaType(type)) {
    const known = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST_LIST].join(", ");
    throw invalid(`Content-Type must be one of ${known}`);
  }
  const mustSay = type === DOCKER_MANIFEST || type === DOCKER_MANIFEST_LIST;
  if (own === undefined ? mustSay : own !== type)
    throw invalid(`mediaType in the manifest must be the Content-Type, ${type}`);
  return type;
}

function parseBytes(bytes: Uint8Array): Json {
  try {
    return parseJson(bytes);
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    throw new OciError("MANIFEST_INVALID", { message: `manifest invalid: ${cause.message}`, cause });
  }
}

function invalid(message: string): OciError {
  return new OciError("MANIFEST_INVALID", { message: `manifest invalid: ${message}` });
}
