/** What the reads of the bench read, pushed to each server before anything is measured. */
import { randomBytes } from "node:crypto";
import { basic, Client } from "./client.ts";
import { sha256 } from "./content.ts";
import { REPOSITORY } from "./lanes.ts";
import type { Server } from "./servers.ts";

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

export interface Seed {
  /** Digest of the manifest that the tag `latest` names. */
  readonly manifest: string;
  readonly bigBlobs: readonly string[];
  readonly smallBlobs: readonly string[];
}

export interface SeedSizes {
  readonly mebibytes: number;
  readonly tags: number;
}

/** Tags on a page that is measured. */
export const TAG_PAGES = [100, 1_000] as const;
export const pageRepository = (count: number): string => `${REPOSITORY}-${count}`;

const SMALL_BYTES = 4096;
const SMALL_BLOBS = 16;
const BIG_BLOBS = 4;

/** The same content on every server. */
export async function seedAll(servers: readonly Server[], { mebibytes, tags }: SeedSizes): Promise<Seed> {
  const small = Array.from({ length: SMALL_BLOBS }, () => randomBytes(SMALL_BYTES));
  const config = Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers" } }));
  const manifest = Buffer.from(JSON.stringify(manifestOf(config, small.slice(0, 5))));
  const big = Array.from({ length: BIG_BLOBS }, () => randomBytes(mebibytes * 1024 * 1024));
  for (const server of servers) {
    const client = new Client(server);
    try {
      for (const blob of [config, ...small, ...big]) await pushWhole(client, blob);
      await putManifest(client, "latest", manifest);
      if (server.kind === "goldseal") await makePublic(client);
      await putTags(client, manifest, { repository: REPOSITORY, count: tags });
      // It lists all tags whatever page is asked for: a page's peer is a repository of as many.
      for (const count of server.kind === "peer" && tags > 0 ? TAG_PAGES : []) {
        for (const blob of [config, ...small.slice(0, 5)]) await pushWhole(client, blob, pageRepository(count));
        await putTags(client, manifest, { repository: pageRepository(count), count });
      }
    } finally {
      client.close();
    }
  }
  return { manifest: sha256(manifest), bigBlobs: big.map(sha256), smallBlobs: small.map(sha256) };
}

export function manifestOf(config: Buffer, layers: readonly Buffer[]): object {
  const descriptor = (mediaType: string, content: Buffer) => ({
    mediaType,
    digest: sha256(content),
    size: content.length,
  });
  return {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor("application/vnd.oci.image.config.v1+json", config),
    layers: layers.map((layer) => descriptor("application/vnd.oci.image.layer.v1.tar", layer)),
  };
}

async function pushWhole(client: Client, content: Buffer, repository = REPOSITORY): Promise<void> {
  const headers = { authorization: basic };
  const post = await client.ask(`/v2/${repository}/blobs/uploads/`, { method: "POST", headers, expect: 202 });
  const location = String(post.headers.location);
  const put = `${location}${location.includes("?") ? "&" : "?"}digest=${sha256(content)}`;
  await client.ask(put, { method: "PUT", headers, body: content, expect: 201 });
}

async function putManifest(client: Client, tag: string, manifest: Buffer, repository = REPOSITORY): Promise<void> {
  await client.ask(`/v2/${repository}/manifests/${tag}`, {
    method: "PUT",
    headers: { authorization: basic, "content-type": OCI_MANIFEST },
    body: manifest,
    expect: 201,
  });
}

async function makePublic(client: Client): Promise<void> {
  const [org, ...repository] = REPOSITORY.split("/");
  await client.ask(`/api/v1/orgs/${org}/repositories/${encodeURIComponent(repository.join("/"))}`, {
    method: "PUT",
    headers: { authorization: basic, "content-type": "application/json" },
    body: Buffer.from(JSON.stringify({ visibility: "public" })),
    expect: 200,
  });
}

async function putTags(
  client: Client,
  manifest: Buffer,
  { repository, count }: { readonly repository: string; readonly count: number },
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await putManifest(client, `v${String(next++).padStart(6, "0")}`, manifest, repository);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}
