/** Images that really run, pushed without any client's help: busybox, and a command of their own. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RegistryClient, sha256 } from "../../harness/registry-client.ts";
import { getTool } from "../../harness/tools.ts";
import { type Pushed, pushBlob, pushManifest } from "../../story/images.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar";
const BASE = "ann/base";

export interface Layer {
  readonly bytes: Buffer;
  readonly digest: string;
}

/** Pushed once; every image mounts it from there. */
export async function pushBase(client: RegistryClient): Promise<Layer> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-base-"));
  mkdirSync(join(folder, "bin"));
  copyFileSync(getTool("busybox"), join(folder, "bin", "busybox"));
  const tar = join(folder, "base.tar");
  execFileSync("tar", ["-C", folder, "--numeric-owner", "-cf", tar, "bin"]);
  const bytes = readFileSync(tar);
  rmSync(folder, { recursive: true });
  const { digest } = await pushBlob(client, BASE, bytes);
  return { bytes, digest };
}

export interface Runnable {
  /** What tells it from all others; it says so when it runs. */
  readonly word: string;
  readonly tag?: string;
}

export async function pushRunnable(
  client: RegistryClient,
  repository: string,
  layer: Layer,
  { word, tag }: Runnable,
): Promise<Pushed> {
  await mount(client, repository, layer.digest);
  const command = `echo ${word}; trap exit TERM; while :; do sleep 1 & wait; done`;
  const bytes = Buffer.from(
    JSON.stringify({
      ...{ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [sha256(layer.bytes)] } },
      config: { Cmd: ["/bin/busybox", "sh", "-c", command], Env: ["PATH=/bin"] },
    }),
  );
  const config = { ...(await pushBlob(client, repository, bytes)), mediaType: CONFIG };
  const layers = [{ mediaType: LAYER, digest: layer.digest, size: layer.bytes.length }];
  return pushManifest(client, repository, { schemaVersion: 2, mediaType: MANIFEST, config, layers }, tag);
}

async function mount(client: RegistryClient, repository: string, digest: string): Promise<void> {
  const path = `/v2/${repository}/blobs/uploads/?mount=${digest}&from=${BASE}`;
  const { status, body } = await client.ask(path, { method: "POST" });
  if (status !== 201) throw new Error(`the mount into ${repository} was answered ${status}: ${body}`);
}
