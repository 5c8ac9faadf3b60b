/** OCI image layouts made on the spot from real files, and compared blob by blob after a round trip. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type RegistryClient, sha256 } from "../harness/registry-client.ts";
import { mustRun } from "../harness/tools.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

/** Every layout holds one image or index under this name. */
export const TAG = "v1";

export interface Layout {
  readonly name: string;
  readonly path: string;
  /** Digest of its image manifest or index. */
  readonly digest: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** A tar of a folder's content; the same files give the same bytes. */
export async function tarOf(folder: string, tar: string): Promise<Buffer> {
  await mustRun("tar", ["-C", folder, "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-cf", tar, "."]);
  return readFileSync(tar);
}

/** A layout with one image of these layers (uncompressed tars). */
export function writeImage(path: string, name: string, layers: readonly Buffer[]): Layout {
  mkdirSync(join(path, "blobs", "sha256"), { recursive: true });
  return finish(path, name, addImage(path, layers, "amd64"));
}

/** A layout with one index of two platforms whose images share their first layer. */
export function writeIndex(path: string, name: string, layer: Buffer, other: Buffer): Layout {
  mkdirSync(join(path, "blobs", "sha256"), { recursive: true });
  const manifests = [
    { ...addImage(path, [layer], "amd64"), platform: { os: "linux", architecture: "amd64" } },
    { ...addImage(path, [layer, other], "arm64"), platform: { os: "linux", architecture: "arm64" } },
  ];
  const index = addBlob(path, INDEX, JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  return finish(path, name, index);
}

function addImage(path: string, tars: readonly Buffer[], architecture: string): Descriptor {
  const layers = tars.map((tar) => addBlob(path, LAYER, gzipSync(tar, { level: 1 })));
  const config = JSON.stringify({
    architecture,
    os: "linux",
    config: { Cmd: ["/bin/busybox", "sh"] },
    rootfs: { type: "layers", diff_ids: tars.map((tar) => sha256(tar)) },
  });
  const manifest = { schemaVersion: 2, mediaType: MANIFEST, config: addBlob(path, CONFIG, config), layers };
  return addBlob(path, MANIFEST, JSON.stringify(manifest));
}

function addBlob(path: string, mediaType: string, content: Buffer | string): Descriptor {
  const bytes = Buffer.from(content);
  const digest = sha256(bytes);
  writeFileSync(join(path, "blobs", "sha256", digest.slice("sha256:".length)), bytes);
  return { mediaType, digest, size: bytes.length };
}

function finish(path: string, name: string, root: Descriptor): Layout {
  const named = { ...root, annotations: { "org.opencontainers.image.ref.name": TAG } };
  writeFileSync(join(path, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(join(path, "index.json"), JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [named] }));
  return { name, path, digest: root.digest };
}

/** Pushes a layout without any client: what is no manifest first, then images, then the index that names them. */
export async function pushLayout(world: { direct: RegistryClient }, repository: string, layout: Layout): Promise<void> {
  const contents = readdirSync(join(layout.path, "blobs", "sha256")).map((name) => {
    const bytes = readFileSync(join(layout.path, "blobs", "sha256", name));
    return { bytes, digest: `sha256:${name}`, type: mediaTypeOf(bytes) };
  });
  for (const type of [undefined, MANIFEST, INDEX]) {
    for (const content of contents.filter((one) => one.type === type)) {
      const { status, body } = await (type ? putManifest : putBlob)(world.direct, repository, content);
      if (status !== 201) throw new Error(`${repository} ${content.digest}: ${status} ${body}`);
    }
  }
  const { status } = await world.direct.ask(`/v2/${repository}/manifests/${TAG}`, {
    method: "PUT",
    headers: { "content-type": INDEX },
    body: readFileSync(join(layout.path, "blobs", "sha256", layout.digest.slice("sha256:".length))),
  });
  if (status !== 201) throw new Error(`${repository}:${TAG}: ${status}`);
}

interface Content {
  readonly bytes: Buffer;
  readonly digest: string;
  readonly type: string | undefined;
}

const mediaTypeOf = (bytes: Buffer): string | undefined =>
  [MANIFEST, INDEX].find((type) => bytes.subarray(0, 200).includes(`"schemaVersion":2,"mediaType":"${type}"`));

const putManifest = (direct: RegistryClient, repository: string, { bytes, digest, type }: Content) =>
  direct.ask(`/v2/${repository}/manifests/${digest}`, {
    method: "PUT",
    headers: { "content-type": type ?? "" },
    body: bytes,
  });

async function putBlob(direct: RegistryClient, repository: string, { bytes, digest }: Content) {
  const { headers } = await direct.ask(`/v2/${repository}/blobs/uploads/`, { method: "POST" });
  const end = new URL(headers.location ?? "", direct.url);
  end.searchParams.set("digest", digest);
  return direct.ask(end.href, {
    method: "PUT",
    headers: { "content-type": "application/octet-stream" },
    body: bytes,
  });
}

/** @throws Error unless `pulled` names the same manifest and holds the same blobs, byte for byte */
export function assertSameLayout(sent: Layout, pulled: string): void {
  const names = readdirSync(join(sent.path, "blobs", "sha256")).sort();
  const got = readdirSync(join(pulled, "blobs", "sha256")).sort();
  if (names.join() !== got.join()) throw new Error(`blobs differ: sent ${names.join(" ")}, got ${got.join(" ")}`);
  for (const name of names) {
    const bytes = readFileSync(join(pulled, "blobs", "sha256", name));
    if (sha256(bytes) !== `sha256:${name}`) throw new Error(`blob ${name} came back changed`);
  }
  if (!readFileSync(join(pulled, "index.json"), "utf8").includes(sent.digest)) {
    throw new Error(`index.json of the pulled layout does not name ${sent.digest}`);
  }
}
