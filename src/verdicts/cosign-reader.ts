import { LRUCache } from "lru-cache";
import type { Descriptor } from "../oci/descriptor.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { parseManifest } from "../oci/manifest.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { readManifests, readSignatureManifests, type StoredManifest } from "../storage/manifest-chains.ts";
import type { SignatureManifest } from "../trust/cosign-evidence.ts";
import type { EvidenceDeps } from "./deps.ts";

/** What calls itself a signature of cosign: bundles v3, and what cosign v2 makes where it is told to use referrers. */
const TYPES = [
  "application/vnd.dev.sigstore.bundle.v0.3+json",
  "application/vnd.dev.cosign.artifact.sig.v1+json",
  "application/vnd.dev.cosign.simplesigning.v1+json",
];
/** One more than are looked at: whoever hides behind many others is told so. */
const maxManifests = 65;
/** A signature is some KiB. */
export const maxSignatureBytes = 1024 * 1024;
const maxCachedBytes = 8 * 1024 * 1024;

/** Small blobs by digest, whose bytes never change; undefined for one that is absent, damaged or too large. */
export type ReadSmallBlob = (descriptor: Pick<Descriptor, "digest" | "size">) => Promise<Buffer | undefined>;

export function openSmallBlobs(blobs: Pick<BlobStore, "open">): ReadSmallBlob {
  const known = new LRUCache<Digest, Buffer>({
    maxSize: maxCachedBytes,
    sizeCalculation: ({ length }) => length + 256,
  });
  return async ({ digest, size }) => {
    if (size > maxSignatureBytes) return undefined;
    const bytes = known.get(digest) ?? (await readWhole(blobs, digest));
    if (bytes !== undefined) known.set(digest, bytes);
    return bytes;
  };
}

async function readWhole(blobs: Pick<BlobStore, "open">, digest: Digest): Promise<Buffer | undefined> {
  const reader = await blobs.open(digest);
  if (reader === undefined) return undefined;
  try {
    if (reader.size > maxSignatureBytes) return undefined;
    const pieces: Buffer[] = [];
    if (reader.size > 0) for await (const piece of reader.chunks(0, reader.size - 1)) pieces.push(Buffer.from(piece));
    const bytes = Buffer.concat(pieces);
    return digestOf(bytes, algorithmOf(digest)) === digest ? bytes : undefined;
  } finally {
    await reader.close();
  }
}

/** What cosign may have signed: the image, and the indexes that list it. */
export interface Covered {
  readonly repositoryId: number;
  readonly digests: readonly Digest[];
}

/** Everything in the repository that may be a cosign signature, with its bytes, by the digest that it may be about. */
export async function readCosignSignatures(
  { database, readBlob }: Pick<EvidenceDeps, "database" | "readBlob">,
  { repositoryId, digests }: Covered,
): Promise<ReadonlyMap<Digest, readonly SignatureManifest[]>> {
  const found = await readSignatureManifests(database, {
    ...{ repositoryId, subjects: digests, artifactTypes: TYPES, limit: maxManifests },
    tags: digests.map((digest) => `${digest.replace(":", "-")}.sig`),
  });
  const all = new Map<Digest, readonly SignatureManifest[]>();
  for (const [digest, manifests] of found)
    all.set(digest, await Promise.all(manifests.map((manifest) => withBlobs(manifest, readBlob))));
  return all;
}

/** Something that refers to an image. */
export interface AttachedManifest {
  readonly digest: Digest;
  /** Undefined for what has a tag made of the image's digest. */
  readonly artifactType: string | undefined;
}

/** Those of `attached` that may be cosign signatures and are still there, with their bytes; the first ones, as many as are looked at. */
export async function readAttachedSignatures(
  { database, readBlob }: Pick<EvidenceDeps, "database" | "readBlob">,
  { repositoryId, attached }: { readonly repositoryId: number; readonly attached: readonly AttachedManifest[] },
): Promise<SignatureManifest[]> {
  const maybe = attached.filter(({ artifactType }) => artifactType === undefined || TYPES.includes(artifactType));
  const digests = [...new Set(maybe.map(({ digest }) => digest))].slice(0, maxManifests);
  const found = await readManifests(database, repositoryId, digests);
  const there = digests.flatMap((digest) => found.get(digest) ?? []);
  return Promise.all(there.map((manifest) => withBlobs(manifest, readBlob)));
}

async function withBlobs(manifest: StoredManifest, readBlob: ReadSmallBlob): Promise<SignatureManifest> {
  const blobs = new Map<Digest, Uint8Array>();
  for (const descriptor of layersOf(manifest)) {
    const bytes = await readBlob(descriptor);
    if (bytes !== undefined) blobs.set(descriptor.digest, bytes);
  }
  return { artifact: manifest, blobs };
}

function layersOf({ bytes, mediaType }: StoredManifest): readonly Descriptor[] {
  try {
    return parseManifest(bytes, mediaType).blobs.slice(1, maxManifests + 1);
  } catch (error) {
    // A rule that is stricter today than when it was pushed: then it is no signature that could be read.
    if (error instanceof OciError) return [];
    throw error;
  }
}
