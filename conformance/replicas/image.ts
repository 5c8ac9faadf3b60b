/** One small image, pushed and pulled over HTTP without a single retry: whatever goes wrong is seen. */
import { randomBytes } from "node:crypto";
import { MANIFEST_TYPES, type RegistryClient, sha256 } from "../harness/registry-client.ts";

const CONFIG_TYPE = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar";

export interface Image {
  readonly blobs: readonly Buffer[];
  readonly manifest: Buffer;
  readonly digest: string;
}

/** A config and one layer of `layerBytes` random bytes. */
export function makeImage(layerBytes: number): Image {
  const config = Buffer.from(JSON.stringify({ id: randomBytes(8).toString("hex") }));
  const layer = randomBytes(layerBytes);
  const describe = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: sha256(bytes), size: bytes.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPES[0],
      config: describe(CONFIG_TYPE, config),
      layers: [describe(LAYER_TYPE, layer)],
    }),
  );
  return { blobs: [config, layer], manifest, digest: sha256(manifest) };
}

/** Docker's shape: POST, one PATCH, PUT without a body; then the manifest. @throws Error on any other status than success */
export async function pushImage(client: RegistryClient, repository: string, tag: string, image: Image): Promise<void> {
  for (const blob of image.blobs) await pushBlob(client, repository, blob);
  await pushManifest(client, repository, tag, image);
}

export async function pushBlob(client: RegistryClient, repository: string, blob: Buffer): Promise<void> {
  let location = await step(client, `/v2/${repository}/blobs/uploads/`, { method: "POST", expected: 202 });
  location = await step(client, location, { method: "PATCH", body: blob, expected: 202 });
  const joint = location.includes("?") ? "&" : "?";
  await step(client, `${location}${joint}digest=${sha256(blob)}`, { method: "PUT", expected: 201 });
}

export async function pushManifest(
  client: RegistryClient,
  repository: string,
  tag: string,
  image: Image,
): Promise<void> {
  const headers = { "content-type": MANIFEST_TYPES[0] ?? "" };
  const path = `/v2/${repository}/manifests/${tag}`;
  await step(client, path, { method: "PUT", headers, body: image.manifest, expected: 201 });
}

interface Step {
  readonly method: string;
  readonly expected: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** Answers the Location. */
export async function step(client: RegistryClient, path: string, { expected, ...ask }: Step): Promise<string> {
  const { status, headers, body } = await client.ask(pathOf(path), ask);
  if (status !== expected) throw new Error(`${ask.method} ${path} answered ${status}, not ${expected}: ${body}`);
  return String(headers.location ?? "");
}

/** Locations name the public URL; a case that talks to one replica asks that one. */
export function pathOf(location: string): string {
  const url = new URL(location, "https://any");
  return url.pathname + url.search;
}

/** @throws Error unless the tag leads to exactly this image, bytes and all */
export async function checkImage(client: RegistryClient, repository: string, tag: string, image: Image): Promise<void> {
  const manifest = await client.manifest(repository, tag);
  same(`GET ${repository}:${tag}`, manifest.status, 200);
  same(`digest of ${repository}:${tag}`, sha256(manifest.body), image.digest);
  for (const blob of image.blobs) {
    const answer = await client.ask(`/v2/${repository}/blobs/${sha256(blob)}`);
    same(`GET a blob of ${repository}:${tag}`, answer.status, 200);
    same(`bytes of a blob of ${repository}:${tag}`, sha256(answer.body), sha256(blob));
  }
}

export function same<T>(what: string, actual: T, expected: T): void {
  if (actual !== expected) throw new Error(`${what}: ${actual}, not ${expected}`);
}
