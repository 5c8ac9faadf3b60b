/** Images to promote: an index, its platforms, their layers, and a signature and an SBOM that refer to them. */

import { createHash } from "node:crypto";
import { type Client, pathOf } from "../crash/client.ts";
import { contentOf, makeBlob } from "../crash/random.ts";

export const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";

export interface Image {
  readonly digest: string;
  /** Of the index, its platforms and all that refers to them. */
  readonly manifests: readonly string[];
  readonly blobs: readonly string[];
}

export const digestOf = (content: Buffer | string): string =>
  `sha256:${createHash("sha256").update(content).digest("hex")}`;

/** Pushes it under `tag`. */
export async function pushImage(client: Client, repository: string, tag: string, layers: number): Promise<Image> {
  const seed = `${repository}:${tag}`;
  const blobs: string[] = [];
  const children: { mediaType: string; digest: string; size: number }[] = [];
  for (const platform of ["amd64", "arm64"]) {
    const contents = Array.from({ length: layers }, (_, index) => blobOf(`${seed} ${platform} ${index}`));
    const config = Buffer.from(JSON.stringify({ architecture: platform, os: "linux", seed }));
    await inGroups([config, ...contents], (content) => pushBlob(client, repository, content));
    blobs.push(...[config, ...contents].map(digestOf));
    const manifest = manifestOf(config, contents);
    await putManifest(client, repository, digestOf(manifest), manifest, MANIFEST);
    children.push({ mediaType: MANIFEST, digest: digestOf(manifest), size: manifest.length });
  }
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: children }));
  await putManifest(client, repository, tag, index, INDEX);
  const referrers = await pushReferrers(client, repository, { digest: digestOf(index), size: index.length });
  return {
    digest: digestOf(index),
    manifests: [digestOf(index), ...children.map(({ digest }) => digest), ...referrers.manifests],
    blobs: [...blobs, ...referrers.blobs],
  };
}

/** An SBOM by its subject, and what cosign would push by its tag. */
async function pushReferrers(client: Client, repository: string, image: { digest: string; size: number }) {
  const [sbom, signature] = [Buffer.from(`sbom of ${image.digest}`), Buffer.from(`signature of ${image.digest}`)];
  for (const content of [sbom, signature, EMPTY]) await pushBlob(client, repository, content);
  const withSubject = manifestOf(EMPTY, [sbom], {
    subject: { mediaType: INDEX, ...image },
    artifactType: "application/spdx+json",
  });
  const classic = manifestOf(EMPTY, [signature]);
  await putManifest(client, repository, digestOf(withSubject), withSubject, MANIFEST);
  await putManifest(client, repository, `${image.digest.replace(":", "-")}.sig`, classic, MANIFEST);
  return { manifests: [digestOf(withSubject), digestOf(classic)], blobs: [sbom, signature, EMPTY].map(digestOf) };
}

const EMPTY = Buffer.from("{}");
const blobOf = (seed: string): Buffer => contentOf(makeBlob(seed, 512));
const describe = (content: Buffer, mediaType: string) => ({
  mediaType,
  digest: digestOf(content),
  size: content.length,
});

function manifestOf(config: Buffer, layers: readonly Buffer[], more: object = {}): Buffer {
  const manifest = {
    ...{ schemaVersion: 2, mediaType: MANIFEST, config: describe(config, "application/vnd.oci.image.config.v1+json") },
    layers: layers.map((layer) => describe(layer, "application/vnd.oci.image.layer.v1.tar")),
    ...more,
  };
  return Buffer.from(JSON.stringify(manifest));
}

async function pushBlob(client: Client, repository: string, content: Buffer): Promise<void> {
  const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(content)}`;
  pathOf(await client.expect([201], "POST", path, { body: content }));
}

export async function putManifest(client: Client, repository: string, reference: string, body: Buffer, type: string) {
  const headers = { "content-type": type };
  await client.expect([201], "PUT", `/v2/${repository}/manifests/${reference}`, { body, headers });
}

async function inGroups<T>(all: readonly T[], act: (one: T) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < all.length; at += 8) await Promise.all(all.slice(at, at + 8).map(act));
}
