import { type Digest, digestOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { parseManifest } from "../oci/manifest.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { TrustError } from "./error.ts";

/** A manifest as it came, and how it was asked for. */
export interface Artifact {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** What it was sent or stored as; undefined where only the manifest says it. */
  readonly mediaType: string | undefined;
}

export interface Reference {
  readonly repository: RepositoryName;
  /** What GUNs begin with: host and port of the registry. */
  readonly authority: string;
  /** Undefined when the image was named by digest alone. */
  readonly tag: Tag | undefined;
}

/** What is judged: an image, and the indexes through which it was reached. */
export interface Subject extends Reference {
  /** SHA-256 of what would run. */
  readonly digest: Digest;
  /** SHA-256 of what the tag stands for: the outermost index, or the image itself. */
  readonly outermost: Digest;
  /** By SHA-256: who signed one of these signed the image, because each lists the next. */
  readonly covering: ReadonlyMap<string, Artifact>;
}

/**
 * @param chain from what the tag stands for to what would run; each lists the next (hardening T09: a child that the signed
 * index does not list is nobody's)
 * @throws TrustError BINDING
 */
export function openSubject(reference: Reference, chain: readonly [Artifact, ...Artifact[]]): Subject {
  for (const [index, artifact] of chain.entries()) {
    checkBytes(artifact);
    const parent = chain[index - 1];
    if (parent !== undefined) checkListed(parent, artifact);
  }
  const covering = new Map(chain.map((artifact) => [digestOf(artifact.bytes), artifact]));
  const digests = [...covering.keys()];
  return {
    ...reference,
    digest: digests.at(-1) ?? digestOf(chain[0].bytes),
    outermost: digestOf(chain[0].bytes),
    covering,
  };
}

function checkBytes({ digest, bytes }: Artifact): void {
  const algorithm = digest.startsWith("sha512:") ? "sha512" : "sha256";
  if (digestOf(bytes, algorithm) !== digest)
    throw new TrustError("BINDING", `what was given as ${digest} is something else`);
}

function checkListed(index: Artifact, child: Artifact): void {
  const isListed = childrenOf(index).some(({ digest, size }) => digest === child.digest && size === child.bytes.length);
  if (!isListed) throw new TrustError("BINDING", `the index ${index.digest} does not list ${child.digest}`);
}

function childrenOf({ digest, bytes, mediaType }: Artifact) {
  try {
    return parseManifest(bytes, mediaType).children;
  } catch (cause) {
    if (!(cause instanceof OciError)) throw cause;
    throw new TrustError("BINDING", `${digest} cannot be read as an index: ${cause.message}`, { cause });
  }
}
