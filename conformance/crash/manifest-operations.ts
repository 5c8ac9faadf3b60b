/** Manifests, indexes and tags: pushed, moved and deleted. */
import { blobAppears, type Hand, keep, nextSeed, type Pushed, take } from "./hand.ts";
import { type Change, PRESENT } from "./history.ts";
import { type Blob, digestLike } from "./random.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const TAGS = ["one", "two", "three", "four"];

function toPushed(mediaType: string, fields: Readonly<Record<string, unknown>>): Pushed {
  const content = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields }));
  return { digest: digestLike("sha256:", content), mediaType, content, isChild: false };
}

function describeBlob({ digest, size }: Blob, mediaType: string): Readonly<Record<string, unknown>> {
  return { mediaType, digest, size };
}

function newManifest(hand: Hand, blobs: readonly Blob[], subject?: Pushed): Pushed {
  const [config, ...layers] = blobs.map((blob, index) =>
    describeBlob(blob, `application/vnd.goldseal.crash.${index === 0 ? "config" : "layer"}`),
  );
  return toPushed(MANIFEST, {
    config,
    layers: layers.length > 0 ? layers : [config],
    annotations: { seed: nextSeed(hand) },
    ...(subject && {
      artifactType: "application/vnd.goldseal.crash.note",
      subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.content.length },
    }),
  });
}

interface Put {
  readonly repository: string;
  readonly manifest: Pushed;
  /** Tags that shall name it. */
  readonly tags: readonly string[];
  readonly byDigest: boolean;
}

async function put(hand: Hand, op: string, { repository, manifest, tags, byDigest }: Put): Promise<void> {
  const { client, history } = hand;
  const changes: Change[] = [
    { register: history.register("manifest", repository, manifest.digest), value: PRESENT },
    ...tags.map((tag) => ({ register: history.register("tag", repository, tag), value: manifest.digest })),
  ];
  const reference = byDigest ? manifest.digest : tags[0];
  const query = byDigest && tags.length > 0 ? `?${tags.map((tag) => `tag=${tag}`).join("&")}` : "";
  await history.attempt(op, changes, () =>
    client.expect([201], "PUT", `/v2/${repository}/manifests/${reference}${query}`, {
      headers: { "content-type": manifest.mediaType },
      body: manifest.content,
    }),
  );
}

/** One of the writer's own tags whose value depends on nothing unanswered. */
function pickTag({ random, history, repository }: Hand): string | undefined {
  return random.pick(TAGS.filter((tag) => history.register("tag", repository, tag).current() !== "unknown"));
}

export async function pushManifest(hand: Hand): Promise<void> {
  const { random, loose, repository } = hand;
  const tag = pickTag(hand);
  const blobs = [take(loose, random), take(loose, random)].filter((blob) => blob !== undefined);
  if (blobs.length === 0) return;
  const subject = random.chance(0.3) ? random.pick(hand.manifests) : undefined;
  const manifest = newManifest(hand, blobs, subject);
  if (subject) hand.history.subjects.set(manifest.digest, subject.digest);
  const byDigest = tag === undefined || random.chance(0.5);
  const tags = tag === undefined || (byDigest && random.chance(0.5)) ? [] : [tag];
  await put(hand, byDigest ? "manifest.digest" : "manifest.tag", { repository, manifest, tags, byDigest });
  keep(hand.manifests, manifest);
}

export async function pushIndex(hand: Hand): Promise<void> {
  const { random, manifests, repository } = hand;
  const images = manifests.filter(({ mediaType }) => mediaType === MANIFEST);
  const children = [...new Set([random.pick(images), random.pick(images)])].filter((child) => child !== undefined);
  const tag = pickTag(hand);
  if (children.length === 0 || tag === undefined) return;
  for (const child of children) child.isChild = true;
  const index = toPushed(INDEX, {
    manifests: children.map(({ mediaType, digest, content }) => ({ mediaType, digest, size: content.length })),
    annotations: { seed: nextSeed(hand) },
  });
  await put(hand, "index", { repository, manifest: index, tags: [tag], byDigest: false });
  keep(manifests, index);
}

export async function moveTag(hand: Hand): Promise<void> {
  const manifest = hand.random.pick(hand.manifests);
  const tag = pickTag(hand);
  if (manifest === undefined || tag === undefined) return;
  await put(hand, "tag.move", { repository: hand.repository, manifest, tags: [tag], byDigest: false });
}

/** All writers move the same few tags. */
export async function moveSharedTag(hand: Hand): Promise<void> {
  const { random, commons } = hand;
  const blob = random.pick(commons.blobs);
  const tag = random.pick(commons.tags);
  if (blob === undefined || tag === undefined) return;
  const manifest = newManifest(hand, [blob]);
  await put(hand, "tag.shared", { repository: commons.repository, manifest, tags: [tag], byDigest: false });
}

/** By mount and push: an image in the second repository, whose blobs were never uploaded there. */
export async function pushMounted(hand: Hand): Promise<void> {
  const { random, mounted, second, history, client } = hand;
  const blob = take(mounted, random);
  if (blob === undefined) return;
  hand.pinned.add(blob.digest);
  await history.attempt("blob.mount", [blobAppears(hand, second, blob)], () =>
    client.expect([201], "POST", `/v2/${second}/blobs/uploads/?mount=${blob.digest}`),
  );
  const manifest = newManifest(hand, [blob]);
  await put(hand, "manifest.digest", { repository: second, manifest, tags: [], byDigest: true });
}

export async function deleteTag(hand: Hand): Promise<void> {
  const { random, history, repository, client } = hand;
  const held = TAGS.map((tag) => history.register("tag", repository, tag)).filter((register) => {
    const value = register.current();
    return value !== undefined && value !== "unknown";
  });
  const register = random.pick(held);
  if (register === undefined) return;
  await history.attempt("tag.delete", [{ register, value: undefined }], () =>
    client.expect([202], "DELETE", `/v2/${repository}/manifests/${register.name}`),
  );
}

/** Takes every tag along that names it; none of them may be in doubt. */
export async function deleteManifest(hand: Hand): Promise<void> {
  const { random, history, repository, client, manifests } = hand;
  const manifest = random.pick(manifests.filter(({ isChild }) => !isChild));
  if (manifest === undefined) return;
  const tags = TAGS.map((tag) => history.register("tag", repository, tag));
  const naming = tags.filter((register) => register.allowed().has(manifest.digest));
  if (naming.some((register) => register.current() === "unknown")) return;
  manifests.splice(manifests.indexOf(manifest), 1);
  const register = history.register("manifest", repository, manifest.digest);
  const changes = [register, ...naming].map((each) => ({ register: each, value: undefined }));
  await history.attempt("manifest.delete", changes, () =>
    client.expect([202], "DELETE", `/v2/${repository}/manifests/${manifest.digest}`),
  );
}
