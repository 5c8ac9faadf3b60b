/** What must be so of a repository that images were promoted to, whatever died meanwhile. */
import { readdirSync } from "node:fs";
import type { Client } from "../crash/client.ts";
import { Violation } from "../crash/violation.ts";
import type { Image } from "./images.ts";
import { rest, type Wire } from "./rest.ts";

interface Promotion extends Wire {
  readonly id: number;
  readonly state: string;
  readonly digest: string;
  readonly destination: { readonly tag: string };
  readonly statement: { readonly manifest: string; readonly envelope: string };
}

/**
 * Each tag is what the last promotion says, in the registry and in the trust data alike; each promotion has its statement, and
 * its image is whole. Returns the promotions. @throws Violation TORN
 */
export async function checkDestination(
  client: Client,
  repository: string,
  images: ReadonlyMap<string, Image>,
): Promise<readonly Promotion[]> {
  const promotions = await listPromotions(client, repository);
  const latest = new Map<string, Promotion>();
  for (const promotion of promotions) {
    if (promotion.state !== "done") throw torn(repository, `promotion ${promotion.id} is ${promotion.state}`);
    const { tag } = promotion.destination;
    if ((latest.get(tag)?.id ?? 0) < promotion.id) latest.set(tag, promotion);
    await checkStatement(client, repository, promotion);
  }
  const tags = await listTags(client, repository);
  for (const [tag, { signed, digest }] of tags) {
    const promotion = latest.get(tag);
    if (promotion?.digest !== digest)
      throw torn(repository, `${tag} is ${digest}, and was promoted as ${promotion?.digest}`);
    if (signed !== digest) throw torn(repository, `${tag} is ${digest}, and its trust data says ${signed}`);
  }
  for (const tag of latest.keys()) if (!tags.has(tag)) throw torn(repository, `there is no ${tag}, which was promoted`);
  for (const digest of new Set(promotions.map((one) => one.digest)))
    await checkWhole(client, repository, images.get(digest));
  return promotions;
}

async function listPromotions(client: Client, repository: string): Promise<Promotion[]> {
  const all: Promotion[] = [];
  for (let path: string | undefined = `promotions?limit=500&destination=${repository}`; path !== undefined; ) {
    const { body }: { body: Wire } = await rest(client, [200], "GET", path);
    all.push(...(body.promotions as Promotion[]));
    path = (body.next as string | undefined)?.replace("/api/v1/", "");
  }
  return all;
}

/** Without the tags that belong to an image by their names. */
async function listTags(client: Client, repository: string) {
  const [org, repo] = repository.split("/");
  const tags = new Map<string, { digest: unknown; signed: unknown }>();
  for (let path: string | undefined = `orgs/${org}/repositories/${repo}/tags?limit=500`; path !== undefined; ) {
    const { body }: { body: Wire } = await rest(client, [200], "GET", path);
    for (const { tag, digest, signed } of body.tags as {
      tag: string;
      digest: unknown;
      signed: { digest: unknown } | null;
    }[])
      if (!tag.startsWith("sha256-")) tags.set(tag, { digest, signed: signed?.digest });
    path = (body.next as string | undefined)?.replace("/api/v1/", "");
  }
  return tags;
}

async function checkStatement(client: Client, repository: string, { id, digest, statement }: Promotion): Promise<void> {
  const path = `/v2/${repository}/manifests/${statement.manifest}`;
  const { body } = await client.expect([200], "GET", path);
  const manifest: { subject: { digest: string }; layers: { data: string }[] } = JSON.parse(body.toString());
  if (manifest.subject.digest !== digest || manifest.layers[0]?.data !== statement.envelope)
    throw torn(repository, `the statement of promotion ${id} is another`);
  const { payload }: { payload: string } = JSON.parse(Buffer.from(statement.envelope, "base64").toString());
  const { predicate }: { predicate: { promotion: number } } = JSON.parse(Buffer.from(payload, "base64").toString());
  if (predicate.promotion !== id)
    throw torn(repository, `the statement of promotion ${id} is that of ${predicate.promotion}`);
}

async function checkWhole(client: Client, repository: string, image: Image | undefined): Promise<void> {
  if (image === undefined) throw torn(repository, "it has an image that nobody pushed");
  for (const digest of image.manifests) await client.expect([200], "HEAD", `/v2/${repository}/manifests/${digest}`);
  for (const digest of image.blobs) await client.expect([200], "HEAD", `/v2/${repository}/blobs/${digest}`);
  const signature = `${image.digest.replace(":", "-")}.sig`;
  await client.expect([200], "HEAD", `/v2/${repository}/manifests/${signature}`);
}

/** Files of the blob store: a promotion leaves it as it is. */
export function countFiles(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}

function torn(repository: string, what: string): Violation {
  return new Violation("TORN", `${repository}: ${what}`);
}
