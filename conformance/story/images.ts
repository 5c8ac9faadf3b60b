/** Small images, pushed without any client's help, each with content of its own. */
import { randomBytes } from "node:crypto";
import { type RegistryClient, sha256 } from "../harness/registry-client.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const EMPTY = "application/vnd.oci.empty.v1+json";

export interface Pushed {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export async function pushBlob(client: RegistryClient, repository: string, bytes: Buffer): Promise<Pushed> {
  const digest = sha256(bytes);
  const { status, body } = await client.ask(`/v2/${repository}/blobs/uploads/?digest=${digest}`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: bytes,
  });
  if (status !== 201) throw new Error(`a blob of ${repository} was answered ${status}: ${body}`);
  return { mediaType: "application/octet-stream", digest, size: bytes.length };
}

/** @param reference a tag; its own digest where it is left out */
export async function pushManifest(
  client: RegistryClient,
  repository: string,
  manifest: { readonly mediaType: string; readonly [field: string]: unknown },
  reference?: string,
): Promise<Pushed> {
  const bytes = json(manifest);
  const digest = sha256(bytes);
  const { status, body } = await client.ask(`/v2/${repository}/manifests/${reference ?? digest}`, {
    method: "PUT",
    headers: { "content-type": manifest.mediaType },
    body: bytes,
  });
  if (status !== 201) throw new Error(`a manifest of ${repository} was answered ${status}: ${body}`);
  return { mediaType: manifest.mediaType, digest, size: bytes.length };
}

/** An image that nobody else has. */
export async function pushImage(client: RegistryClient, repository: string, tag?: string): Promise<Pushed> {
  const bytes = json({
    ...{ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } },
    config: { Labels: { salt: randomBytes(8).toString("hex") } },
  });
  const config = { ...(await pushBlob(client, repository, bytes)), mediaType: CONFIG };
  return pushManifest(client, repository, { schemaVersion: 2, mediaType: MANIFEST, config, layers: [] }, tag);
}

export function pushIndex(client: RegistryClient, repository: string, images: readonly Pushed[], tag: string) {
  const manifests = images.map((image, index) => ({
    ...image,
    platform: { os: "linux", architecture: ["amd64", "arm64", "s390x"][index] ?? "riscv64" },
  }));
  return pushManifest(client, repository, { schemaVersion: 2, mediaType: INDEX, manifests }, tag);
}

/** What refers to `subject`, or only stands there: one layer of these bytes. */
export async function pushAttached(
  client: RegistryClient,
  repository: string,
  { subject, artifactType, layer, tag }: Attached,
): Promise<Pushed> {
  const config = { ...(await pushBlob(client, repository, Buffer.from("{}"))), mediaType: EMPTY };
  const { digest, size } = await pushBlob(client, repository, layer.bytes);
  const { mediaType, annotations } = layer;
  const layers = [{ mediaType, digest, size, ...(annotations === undefined ? {} : { annotations }) }];
  const more = { ...(artifactType ? { artifactType } : {}), ...(subject ? { subject } : {}) };
  return pushManifest(client, repository, { schemaVersion: 2, mediaType: MANIFEST, config, layers, ...more }, tag);
}

export interface Attached {
  readonly subject?: Pushed;
  readonly artifactType?: string;
  readonly layer: {
    readonly mediaType: string;
    readonly bytes: Buffer;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly tag?: string;
}
