import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import type { Sql } from "../storage/database.ts";
import type { Pushed } from "../storage/manifest-store.ts";
import { together } from "../storage/statement-batch.ts";
import { enqueue, enqueueSigned } from "./queue-store.ts";

const COSIGN_TAG = /^(sha256|sha512)-([0-9a-f]+)\.(?:sig|att|sbom)$/;

/** What a push may set off, written down with it: its tags came to name something, or it says something of another image. */
export async function notePush(sql: Sql, { repositoryId, manifest, tags }: Pushed): Promise<void> {
  const signed = [
    ...tags.flatMap((tag) => imageOf(tag) ?? []),
    ...(manifest.subject === undefined ? [] : [manifest.subject]),
  ];
  const moved = tags.filter((tag) => imageOf(tag) === undefined);
  await together(
    ...moved.map((tag) => enqueue(sql, { repositoryId, tag, digest: manifest.digest, via: [] })),
    enqueueSigned(sql, signed),
  );
}

function imageOf(tag: Tag): Digest | undefined {
  const [, algorithm, hex] = COSIGN_TAG.exec(tag) ?? [];
  return hex === undefined ? undefined : (`${algorithm}:${hex}` as Digest);
}
