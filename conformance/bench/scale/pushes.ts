/** Small pushes that never pause, whose latencies tell what goes on beside them. */
import { randomBytes } from "node:crypto";
import { bearer, Client } from "../client.ts";
import { sha256 } from "../content.ts";
import { manifestOf } from "../seed.ts";
import type { Server } from "../servers.ts";

const PUSHERS = 4;
/** Well within the life of a token: the collection of a million blobs outlives it. */
const TOKEN_MS = 60_000;
const LAYER_BYTES = 16 * 1024;
const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

/** One image: layer, config (POST and PUT each), manifest under a new tag. */
export interface Push {
  /** As `performance.now()` has it. */
  readonly at: number;
  readonly ms: number;
}

/** Four pushers, each in a repository of its own, until `work` is done. */
export async function pushesDuring(server: Server, work: () => Promise<void>): Promise<Push[]> {
  const pushes: Push[] = [];
  let isOver = false;
  const pushers = Array.from({ length: PUSHERS }, async (_, index) => {
    const client = new Client(server);
    const repository = `admin/scale-${index}`;
    let authorization = await bearer(client, repository);
    let renewAt = performance.now() + TOKEN_MS;
    while (!isOver) {
      if (performance.now() > renewAt) {
        authorization = await bearer(client, repository);
        renewAt = performance.now() + TOKEN_MS;
      }
      const at = performance.now();
      await pushImage(client, repository, authorization);
      pushes.push({ at, ms: performance.now() - at });
    }
    client.close();
  });
  const working = work().finally(() => {
    isOver = true;
  });
  await Promise.all([working, ...pushers]);
  return pushes;
}

async function pushImage(client: Client, repository: string, authorization: string): Promise<void> {
  const [layer, config] = [
    randomBytes(LAYER_BYTES),
    Buffer.from(JSON.stringify({ id: randomBytes(8).toString("hex") })),
  ];
  const headers = { authorization };
  for (const content of [layer, config]) {
    const { headers: answer } = await client.ask(`/v2/${repository}/blobs/uploads/`, {
      ...{ method: "POST", headers, expect: 202 },
    });
    const put = `${answer.location}?digest=${sha256(content)}`;
    await client.ask(put, { method: "PUT", headers, body: content, expect: 201 });
  }
  const body = Buffer.from(JSON.stringify(manifestOf(config, [layer])));
  await client.ask(`/v2/${repository}/manifests/${sha256(body).slice(7, 19)}`, {
    method: "PUT",
    headers: { ...headers, "content-type": OCI_MANIFEST },
    body,
    expect: 201,
  });
}
