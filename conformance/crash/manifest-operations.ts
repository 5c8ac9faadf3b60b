/** Manifests, indexes and tags: pushed, moved and deleted. */
import { begin, cancel, mount, newBlob, pushAgain } from "./blob-operations.ts";
import { type Hand, keep, nextSeed, type Pushed, take } from "./hand.ts";
import { type Change, PRESENT, Refused } from "./history.ts";
import type { Content } from "./keeping.ts";
import { type Blob, digestLike } from "./random.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";
export const TAGS = ["one", "two", "three", "four"];

export function toPushed(mediaType: string, fields: Readonly<Record<string, unknown>>): Pushed {
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

/** @throws Refused when the collector took something first; not where `isGuarded` by an upload under way */
export async function put(hand: Hand, op: string, { repository, manifest, tags, byDigest }: Put, isGuarded = false) {
  const { client, history } = hand;
  const content = contentOf(manifest);
  history.keeping.learn(repository, manifest.digest, content);
  const changes: Change[] = [
    { register: history.register("manifest", repository, manifest.digest), value: PRESENT },
    ...tags.map((tag) => ({ register: history.register("tag", repository, tag), value: manifest.digest })),
  ];
  const reference = byDigest ? manifest.digest : tags[0];
  const query = byDigest && tags.length > 0 ? `?${tags.map((tag) => `tag=${tag}`).join("&")}` : "";
  await history.attempt(op, changes, async () => {
    const mayBeRefused = history.isCollected && !isGuarded && history.keeping.mayLack(repository, content);
    const ask = { headers: { "content-type": manifest.mediaType }, body: manifest.content };
    const path = `/v2/${repository}/manifests/${reference}${query}`;
    const { status } = await client.expect(mayBeRefused ? [201, 400] : [201], "PUT", path, ask);
    if (status === 400) throw new Refused();
  });
}

function contentOf({ content }: Pushed): Content {
  const { config, layers = [], manifests = [], subject } = JSON.parse(content.toString()) as ManifestFields;
  const digestsOf = (list: readonly { digest: string }[]): string[] => [...new Set(list.map(({ digest }) => digest))];
  const blobs = digestsOf([...(config ? [config] : []), ...layers]);
  return { blobs, children: digestsOf(manifests), subject: subject?.digest };
}

interface ManifestFields {
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
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
  const op = byDigest ? "manifest.digest" : "manifest.tag";
  try {
    await put(hand, op, { repository, manifest, tags, byDigest });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    await pushGuarded(hand, { repository, manifest, tags, byDigest }, blobs);
  }
  keep(hand.manifests, manifest);
}

/** An image: an upload that is under way keeps what is pushed beside it, and so nothing of this is ever refused. */
export async function pushImage(hand: Hand): Promise<void> {
  const { random, repository } = hand;
  const tag = pickTag(hand);
  if (tag === undefined) return;
  const blobs = [newBlob(hand), newBlob(hand)];
  const manifest = newManifest(hand, blobs);
  await pushGuarded(hand, { repository, manifest, tags: [tag], byDigest: random.chance(0.5) }, blobs);
  keep(hand.manifests, manifest);
}

/** What the collector has taken comes back by being pushed again. */
async function pushGuarded(hand: Hand, what: Put, blobs: readonly Blob[]): Promise<void> {
  const guard = await begin(hand, what.repository, newBlob(hand));
  for (const blob of blobs) await pushAgain(hand, what.repository, blob);
  await put(hand, "manifest.image", what, true);
  await cancel(hand, guard);
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
  const { random, mounted, second } = hand;
  const blob = take(mounted, random);
  if (blob === undefined) return;
  hand.pinned.add(blob.digest);
  await mount(hand, blob, "");
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
  // The collector may have deleted it first.
  const statuses = history.isCollected && register.isLoose ? [202, 404] : [202];
  await history.attempt("manifest.delete", changes, () =>
    client.expect(statuses, "DELETE", `/v2/${repository}/manifests/${manifest.digest}`),
  );
}
