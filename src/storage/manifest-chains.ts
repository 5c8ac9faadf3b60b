import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import type { Sql } from "./database.ts";

/** A manifest as it was pushed. */
export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** From an index down to a manifest; each lists the next. */
export type ManifestChain = readonly [StoredManifest, ...StoredManifest[]];

/** Of whatever is listed in more indexes, the newest ones: nightly builds list an old platform again and again. */
const maxChains = 256;
const maxDepth = 3;

/**
 * The manifest itself alone, then the ways that lead to it through indexes of the repository, the newest first; [] where it
 * is not there. (owner of the rows: manifest-store.ts; this only reads)
 */
export async function readManifestChains(sql: Sql, repositoryId: number, digest: Digest): Promise<ManifestChain[]> {
  const rows = await sql.query<{ chain: Digest[] }>(
    "manifest-chains",
    `with recursive chains as (
       select array[digest] as chain from manifests
       where repository_id = $1 and digest = $2 and quarantined_at is null
       union all
       select c.manifest_digest || chains.chain from chains
       cross join lateral (
         select c.manifest_digest from manifest_children c
         join manifests m on m.repository_id = c.repository_id and m.digest = c.manifest_digest
         where c.repository_id = $1 and c.child_digest = chains.chain[1] and m.quarantined_at is null
         order by m.created_at desc, m.digest limit $4
       ) c
       where cardinality(chains.chain) < $3
     )
     select chain from chains join manifests m on m.repository_id = $1 and m.digest = chains.chain[1]
     order by cardinality(chain) > 1, m.created_at desc, chain limit $4`,
    [repositoryId, digest, maxDepth, maxChains],
  );
  const manifests = await readManifests(sql, repositoryId, [...new Set(rows.flatMap(({ chain }) => chain))]);
  return rows.flatMap(({ chain }) => {
    const [first, ...rest] = chain.flatMap((one) => manifests.get(one) ?? []);
    return first === undefined || rest.length + 1 < chain.length ? [] : [[first, ...rest] as const];
  });
}

/** Those of `digests` that are there, and whole. */
export async function readManifests(
  sql: Sql,
  repositoryId: number,
  digests: readonly Digest[],
): Promise<ReadonlyMap<Digest, StoredManifest>> {
  const rows = await sql.query<{ digest: Digest; media_type: string; content: Buffer }>(
    "manifests-read",
    `select digest, media_type, content from manifests
     where repository_id = $1 and digest = any($2::text[]) and quarantined_at is null`,
    [repositoryId, digests],
  );
  return new Map(
    rows
      .filter(({ digest, content }) => digestOf(content, algorithmOf(digest)) === digest)
      .map(({ digest, media_type: mediaType, content }) => [digest, { digest, mediaType, bytes: content }]),
  );
}

/** What may hold signatures: by the types that it calls itself, or by the tag it has. */
export interface SignaturesQuery {
  readonly repositoryId: number;
  readonly subjects: readonly Digest[];
  /** One for each of the subjects. */
  readonly tags: readonly string[];
  readonly artifactTypes: readonly string[];
  /** Of one subject. */
  readonly limit: number;
}

/** By subject, the oldest first: who pushes many more does not hide those that are there. */
export async function readSignatureManifests(
  sql: Sql,
  { repositoryId, subjects, tags, artifactTypes, limit }: SignaturesQuery,
): Promise<ReadonlyMap<Digest, readonly StoredManifest[]>> {
  const rows = await sql.query<{ subject: Digest; digest: Digest }>(
    "signature-manifests",
    `select k.subject, s.digest from unnest($2::text[], $3::text[]) with ordinality as k (subject, tag, at)
     cross join lateral (
       select digest, created_at from (
         select m.digest, m.created_at from tags t
         join manifests m on m.repository_id = t.repository_id and m.digest = t.manifest_digest
         where t.repository_id = $1 and t.name = k.tag
         union
         select m.digest, m.created_at from manifests m
         where m.repository_id = $1 and m.subject_digest = k.subject and m.artifact_type = any($4::text[])
       ) m order by m.created_at, m.digest limit $5
     ) s order by k.at, s.created_at, s.digest`,
    [repositoryId, subjects, tags, artifactTypes, limit],
  );
  const manifests = await readManifests(sql, repositoryId, [...new Set(rows.map(({ digest }) => digest))]);
  const found = new Map<Digest, StoredManifest[]>();
  for (const { subject, digest } of rows) {
    const manifest = manifests.get(digest);
    if (manifest !== undefined) found.set(subject, [...(found.get(subject) ?? []), manifest]);
  }
  return found;
}
