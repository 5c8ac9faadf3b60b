import { createHash } from "node:crypto";
import type { Answer } from "./http-client.ts";
import type { TestApp } from "./open-test-app.ts";

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const CONFIG = "application/vnd.oci.image.config.v1+json";
export const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

/** A user of the test app at one repository. */
export interface Place {
  readonly app: Pick<TestApp, "ask">;
  readonly as: string;
  readonly repository: string;
}

export interface WireDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export function digestOf(content: Buffer | string, algorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(content).digest("hex")}`;
}

export function describe(content: Buffer | string, mediaType: string, algorithm = "sha256"): WireDescriptor {
  return { mediaType, digest: digestOf(content, algorithm), size: Buffer.byteLength(content) };
}

/** The path of a `Location`, which names the public URL. */
export function pathOf(answer: Answer): string {
  const { pathname, search } = new URL(String(answer.headers.location));
  return `${pathname}${search}`;
}

/** In one POST; throws when the answer is not 201. */
export async function pushBlob({ app, as, repository }: Place, content: Buffer | string, algorithm = "sha256") {
  const digest = digestOf(content, algorithm);
  const answer = await app.ask("POST", `/v2/${repository}/blobs/uploads/?digest=${digest}`, {
    as,
    body: Buffer.from(content),
  });
  if (answer.status !== 201) throw new Error(`blob was not pushed: ${answer.status} ${answer.body}`);
  return digest;
}

/** Begins an upload; returns its path. */
export async function startUpload({ app, as, repository }: Place, query = ""): Promise<string> {
  const answer = await app.ask("POST", `/v2/${repository}/blobs/uploads/${query}`, { as });
  if (answer.status !== 202) throw new Error(`upload was not begun: ${answer.status} ${answer.body}`);
  return pathOf(answer);
}

export interface PutManifest {
  readonly contentType?: string;
  /** After the reference, with its question mark. */
  readonly query?: string;
}

export function putManifest(
  { app, as, repository }: Place,
  reference: string,
  manifest: object | string | Buffer,
  { contentType = OCI_MANIFEST, query = "" }: PutManifest = {},
): Promise<Answer> {
  const body = typeof manifest === "string" || Buffer.isBuffer(manifest) ? manifest : JSON.stringify(manifest);
  return app.ask("PUT", `/v2/${repository}/manifests/${reference}${query}`, {
    as,
    headers: { "content-type": contentType },
    body,
  });
}

export interface Image {
  readonly config: WireDescriptor;
  readonly layer: WireDescriptor;
  readonly manifest: Record<string, unknown>;
}

/** Pushes config and layer of a small image and returns its manifest, not yet pushed. */
export async function pushParts(place: Place, name = "app"): Promise<Image> {
  const [configBytes, layerBytes] = [JSON.stringify({ name }), `layer of ${name}`];
  await pushBlob(place, configBytes);
  await pushBlob(place, layerBytes);
  const [config, layer] = [describe(configBytes, CONFIG), describe(layerBytes, LAYER)];
  return { config, layer, manifest: { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] } };
}
