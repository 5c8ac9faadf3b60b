import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { BlobRows } from "../storage/blob-rows.ts";
import { mayBeDamage } from "../storage/broken-bytes.ts";
import type { RegistryDeps } from "./deps.ts";
import { inQuarantine } from "./errors.ts";

export interface BrokenBlob {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  /** Bytes that it should have. */
  readonly size: number;
  /** It may be hashed while the client waits. */
  readonly isSmall: boolean;
}

/**
 * What to tell the client that could not be given a blob of the repository. It may have been deleted and collected, or
 * set aside, since its row was read; or this is how its damage is found, and then it is set aside now. What cannot be had
 * for another reason may be had in a moment.
 */
export async function explainBroken(
  { blobRows, doubts }: Pick<RegistryDeps, "blobRows" | "doubts">,
  { repository, digest, size, isSmall }: BrokenBlob,
  cause: unknown,
): Promise<unknown> {
  const known = await findReason(blobRows, repository, digest);
  if (known !== undefined) return known;
  if (!mayBeDamage(cause)) return cause;
  await doubts.settle({ digest, size }, isSmall);
  return (await findReason(blobRows, repository, digest)) ?? unreadable(digest, cause);
}

async function findReason(
  blobRows: BlobRows,
  repository: RepositoryName,
  digest: Digest,
): Promise<OciError | undefined> {
  const row = (await blobRows.look(repository, digest))?.found;
  if (row === undefined) return unknownBlob(digest);
  return row.quarantined ? inQuarantine("BLOB_UNKNOWN", digest) : undefined;
}

export function unknownBlob(digest: Digest): OciError {
  return new OciError("BLOB_UNKNOWN", { detail: { digest } });
}

/** Nobody knows what is wrong with it, and the next attempt may well succeed. */
export function unreadable(digest: Digest, cause: unknown): OciError {
  return new OciError("UNAVAILABLE", {
    message: `the registry cannot read ${digest} right now; try again in a moment, or tell its operator`,
    headers: { "Retry-After": "5" },
    cause,
  });
}
