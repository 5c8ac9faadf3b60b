import { LRUCache } from "lru-cache";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { JsonError, parseJson } from "../oci/json.ts";
import { type Manifest, parseManifest } from "../oci/manifest.ts";
import type { Sql } from "../storage/database.ts";
import { readManifests, type StoredManifest } from "../storage/manifest-chains.ts";
import type { ReadSmallBlob } from "./cosign-reader.ts";

/** cosign's own tags, and lists of referrers. It is a name and proves nothing: {@link IsContent} does. */
const SIGNATURES = /^sha(?:256|512)-[0-9a-f]+(?:\.[a-z]+)?$/;

export const isSignatureTag = (tag: string): boolean => SIGNATURES.test(tag);

/** A manifest of a repository. */
export interface Where {
  readonly repositoryId: number;
  readonly digest: Digest;
}

/** Whether something could be run of it. What a digest names never changes, so that is remembered. */
export type IsContent = (where: Where) => Promise<boolean>;

const maxRemembered = 10_000;
/** A list of referrers is an index of manifests; deeper ones are images of several platforms. */
const maxDepth = 2;

/**
 * Signatures, bundles, attestations, lists of contents, and the index that old clients keep of them, are JSON and nothing
 * else; no image is, whatever it calls itself: its layers are archives. So nobody's tag or media type is believed here.
 */
export function createIsContent(sql: Sql, readBlob: ReadSmallBlob): IsContent {
  const known = new LRUCache<Digest, boolean>({ max: maxRemembered });
  const isContent = async ({ repositoryId, digest }: Where, depth: number): Promise<boolean> => {
    const remembered = known.get(digest);
    if (remembered !== undefined) return remembered;
    const stored = (await readManifests(sql, repositoryId, [digest])).get(digest);
    if (stored === undefined || depth === 0) return true;
    const manifest = tryParse(stored);
    if (manifest === undefined) return true;
    const parts = manifest.children.map((child) => isContent({ repositoryId, digest: child.digest }, depth - 1));
    const found =
      parts.length === 0 ? !(await isAllJson(manifest, readBlob)) : (await Promise.all(parts)).includes(true);
    // A blob that cannot be read just now may be there the next time.
    if (!found) known.set(digest, found);
    return found;
  };
  return (where) => isContent(where, maxDepth);
}

/** Undefined for what a stricter rule of today refuses. */
function tryParse({ bytes, mediaType }: StoredManifest): Manifest | undefined {
  try {
    return parseManifest(bytes, mediaType);
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}

async function isAllJson({ blobs }: Manifest, readBlob: ReadSmallBlob): Promise<boolean> {
  if (blobs.length < 2) return false;
  for (const blob of blobs) if (!isJson(await readBlob(blob))) return false;
  return true;
}

function isJson(bytes: Buffer | undefined): boolean {
  if (bytes === undefined) return false;
  try {
    parseJson(bytes);
    return true;
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
}
