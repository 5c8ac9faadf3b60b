import { type Digest, digestOf, parseDigest } from "./digest.ts";
import { OciError } from "./error.ts";
import { foldKey, isJsonObject, type Json, type JsonObject } from "./json.ts";

/** @see image-spec v1.1 descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&\-^_.+]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&\-^_.+]{0,126}$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const FIELDS = knownFields("mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform");
const PLATFORM_FIELDS = knownFields("architecture", "os", "os.version", "os.features", "variant", "features");

/** @throws OciError MANIFEST_INVALID, DIGEST_INVALID; `where` says in the message which descriptor it is */
export function parseDescriptor(value: Json | undefined, where: string): Descriptor {
  const object = parseObject(value, where, FIELDS);
  const size = object.size;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(`${where}.size must be a whole number of bytes`);
  }
  const descriptor = {
    mediaType: parseMediaType(object.mediaType, `${where}.mediaType`),
    digest: parseDigest(object.digest),
    size,
  };
  if (object.artifactType !== undefined) parseMediaType(object.artifactType, `${where}.artifactType`);
  if (object.annotations !== undefined) parseAnnotations(object.annotations, `${where}.annotations`);
  if (object.platform !== undefined) parseObject(object.platform, `${where}.platform`, PLATFORM_FIELDS);
  checkUrls(object.urls, where);
  checkData(object.data, descriptor, where);
  return descriptor;
}

/** @see RFC 6838 section 4.2 */
export function parseMediaType(value: Json | undefined, where: string): string {
  if (typeof value !== "string" || !MEDIA_TYPE.test(value)) throw invalid(`${where} must be a media type`);
  return value;
}

export function parseAnnotations(value: Json | undefined, where: string): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) throw invalid(`${where} must be an object of strings`);
  for (const key of Object.keys(value)) {
    if (typeof value[key] !== "string") throw invalid(`${where} must be an object of strings`);
  }
  return value as Readonly<Record<string, string>>;
}

/** The names of a struct's fields, by how a reader that ignores case sees them. */
export function knownFields(...names: readonly string[]): ReadonlyMap<string, string> {
  return new Map(names.map((name) => [foldKey(name), name]));
}

/**
 * An object at a place where clients have a struct: a key that only looks like a field (`Layers`, `layerſ`) would be
 * read as that field by Go clients and as nothing by us.
 */
export function parseObject(value: Json | undefined, where: string, fields: ReadonlyMap<string, string>): JsonObject {
  if (!isJsonObject(value)) throw invalid(`${where} must be an object`);
  for (const key of Object.keys(value)) {
    const field = fields.get(foldKey(key));
    if (field !== undefined && field !== key) throw invalid(`${where} has a key that some clients read as ${field}`);
  }
  return value;
}

/** Kept and shown, never fetched. */
function checkUrls(urls: Json | undefined, where: string): void {
  if (urls === undefined || urls === null) return;
  if (!Array.isArray(urls) || urls.some((url) => typeof url !== "string"))
    throw invalid(`${where}.urls must be a list of strings`);
}

/** @see image-spec v1.1 descriptor.md "Embedded Content" */
function checkData(data: Json | undefined, { digest, size }: Descriptor, where: string): void {
  if (data === undefined || data === null) return;
  if (typeof data !== "string" || !BASE64.test(data)) throw invalid(`${where}.data must be base64`);
  const content = Buffer.from(data, "base64");
  // Bits left over at the end: strict readers refuse them, others do not see them.
  if (content.toString("base64") !== data) throw invalid(`${where}.data must be base64`);
  const algorithm = digest.startsWith("sha512:") ? "sha512" : "sha256";
  if (content.length !== size || digestOf(content, algorithm) !== digest) {
    throw invalid(`${where}.data is not the content that its digest and size describe`);
  }
}

function invalid(message: string): OciError {
  return new OciError("MANIFEST_INVALID", { message: `manifest invalid: ${message}` });
}
