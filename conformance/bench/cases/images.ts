import { randomBytes } from "node:crypto";
import { Client } from "../client.ts";
import { sha256 } from "../content.ts";
import { type Lane, REPOSITORY } from "../lanes.ts";
import type { Case } from "../measure.ts";
import { manifestOf } from "../seed.ts";

const LAYERS = 40;
const LAYER_BYTES = 1024 * 1024;
/** What docker does at a time. */
const UPLOADS = 5;
const DOWNLOADS = 3;

type Headers = Readonly<Record<string, string>>;

/** A new image of 40 layers of 1 MiB, pushed and pulled with docker's requests. */
export const imageCases = (): Case[] => {
  const lanes = ["peer", "token", "shipped"] as const;
  const common = { unit: "ms", better: "lower" as const, lanes };
  return [
    { ...common, name: "image of 40 layers, push", run: (lane) => timedImage(lane, "push") },
    { ...common, name: "image of 40 layers, pull", run: (lane) => timedImage(lane, "pull") },
  ];
};

async function timedImage(lane: Lane, what: "push" | "pull") {
  const authorization = await lane.authorization();
  const headers = authorization === undefined ? {} : { authorization };
  const blobs = Array.from({ length: LAYERS + 1 }, () => randomBytes(LAYER_BYTES));
  const client = new Client(lane.server);
  try {
    const started = performance.now();
    await push(client, headers, blobs);
    const pushed = performance.now();
    if (what === "push") return { value: pushed - started, operations: 1 };
    await pull(client, headers);
    return { value: performance.now() - pushed, operations: 1 };
  } finally {
    client.close();
  }
}

async function push(client: Client, headers: Headers, blobs: readonly Buffer[]): Promise<void> {
  await atATime(UPLOADS, blobs, async (blob) => {
    const digest = sha256(blob);
    await client.ask(`/v2/${REPOSITORY}/blobs/${digest}`, { method: "HEAD", headers, expect: 404 });
    const post = await client.ask(`/v2/${REPOSITORY}/blobs/uploads/`, { method: "POST", headers, expect: 202 });
    const to = String(post.headers.location);
    const patch = await client.ask(to, { method: "PATCH", headers, body: blob, expect: 202 });
    const next = String(patch.headers.location);
    const put = `${next}${next.includes("?") ? "&" : "?"}digest=${digest}`;
    await client.ask(put, { method: "PUT", headers, expect: 201 });
    await client.ask(`/v2/${REPOSITORY}/blobs/${digest}`, { method: "HEAD", headers, expect: 200 });
  });
  const [config = Buffer.alloc(0), ...layers] = blobs;
  await client.ask(`/v2/${REPOSITORY}/manifests/image`, {
    method: "PUT",
    headers: { ...headers, "content-type": "application/vnd.oci.image.manifest.v1+json" },
    body: Buffer.from(JSON.stringify(manifestOf(config, layers))),
    expect: 201,
  });
}

async function pull(client: Client, headers: Headers): Promise<void> {
  const accept = { accept: "application/vnd.oci.image.manifest.v1+json" };
  const { body } = await client.ask(`/v2/${REPOSITORY}/manifests/image`, {
    headers: { ...headers, ...accept },
    expect: 200,
  });
  const manifest: { config: { digest: string }; layers: { digest: string }[] } = JSON.parse(body.toString());
  await atATime(DOWNLOADS, [manifest.config, ...manifest.layers], async ({ digest }) => {
    const blob = await client.ask(`/v2/${REPOSITORY}/blobs/${digest}`, { headers, expect: 200 });
    if (sha256(blob.body) !== digest) throw new Error(`the bytes of ${digest} are other ones`);
  });
}

async function atATime<T>(count: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: count }, async () => {
      for (const item of rest) await work(item);
    }),
  );
}
