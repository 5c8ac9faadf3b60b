import { type Digest, hexOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Tag } from "../oci/reference.ts";
import { clearBlobMarks, type SeeBytes } from "./blob-rows.ts";
import type { Sql } from "./database.ts";
import { together } from "./statement-batch.ts";

// Rows of `manifests`, `manifest_blobs`, `manifest_children` and `tags` are manifest-store.ts's, of `repository_blobs`
// blob-rows.ts's: this makes many of them at once, from those of another repository.

export interface Copy {
  readonly sourceId: number;
  readonly destinationId: number;
  readonly digest: Digest;
  readonly seeBytes: SeeBytes;
}

/** What a repository has of an image now. */
export interface CopiedImage {
  readonly mediaType: string;
  /** Bytes of the manifest itself. */
  readonly size: number;
  /** With indexes, what they list, and what refers to any of these. */
  readonly manifests: number;
  /** Configs and layers of all of them. */
  readonly blobs: number;
}

/** A promotion is one transaction: an image with more around it is not what anybody meant to move on. */
export const maxCopiedManifests = 5_000;

/**
 * The image into another repository, without a byte of a blob: what an index lists, configs, layers, and, transitively,
 * whatever refers to one of these, by its subject or by the tags that cosign and clients without the referrers API use. Rows
 * are locked in the order of their digests, as by every push, and the mark of a candidate for deletion is cleared only after
 * its bytes were seen (rule 1 of the design).
 * @throws OciError MANIFEST_UNKNOWN, DENIED for what is damaged or too much
 */
export async function copyImage(sql: Sql, copy: Copy): Promise<CopiedImage> {
  const { sourceId, digest, seeBytes } = copy;
  const wanted = await findTree(sql, sourceId, digest);
  if (wanted.length > maxCopiedManifests) throw new OciError("DENIED", { message: tooMuch(digest) });
  const [manifests, blobs] = await together(lockManifests(sql, sourceId, wanted), lockBlobs(sql, sourceId, wanted));
  const root = manifests.find((one) => one.digest === digest);
  if (root === undefined || manifests.length < wanted.length)
    throw new OciError("MANIFEST_UNKNOWN", {
      message: `something of ${digest} was deleted just now`,
      detail: { digest },
    });
  const damaged = [...manifests, ...blobs].find((one) => one.damaged);
  if (damaged !== undefined) throw new OciError("DENIED", { message: isDamaged(damaged.digest) });
  const marked = blobs.filter((blob) => blob.marked);
  for (const blob of marked) {
    if (!(await seeBytes(blob.digest, blob.size))) throw new OciError("DENIED", { message: isDamaged(blob.digest) });
  }
  await insertAll(sql, copy, wanted, blobs);
  if (marked.length > 0)
    await clearBlobMarks(
      sql,
      marked.map((blob) => blob.digest),
    );
  await copySignatureTags(sql, copy, wanted);
  return { mediaType: root.mediaType, size: root.size, manifests: manifests.length, blobs: blobs.length };
}

const SUFFIXES = ["", ".sig", ".att", ".sbom"];

/** In the order of their digests. */
async function findTree(sql: Sql, repositoryId: number, digest: Digest): Promise<Digest[]> {
  const rows = await sql.query<{ digest: Digest }>(
    "copy-tree",
    `with recursive tree as (
       select m.repository_id, m.digest from manifests m where m.repository_id = $1 and m.digest = $2
       union
       select t.repository_id, e.digest from tree t cross join lateral (
         select c.child_digest as digest from manifest_children c
         where c.repository_id = t.repository_id and c.manifest_digest = t.digest
         union all
         select m.digest from manifests m where m.repository_id = t.repository_id and m.subject_digest = t.digest
         union all
         select g.manifest_digest from unnest($3::text[]) s (suffix)
         join tags g on g.repository_id = t.repository_id and g.name = replace(t.digest, ':', '-') || s.suffix
       ) e
     )
     select digest from tree order by digest limit $4`,
    [repositoryId, digest, SUFFIXES, maxCopiedManifests + 1],
  );
  return rows.map((row) => row.digest);
}

interface LockedManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly damaged: boolean;
}

/** Whatever is copied is hashed: damage that nobody has noticed yet must not spread. */
function lockManifests(sql: Sql, repositoryId: number, digests: readonly Digest[]): Promise<LockedManifest[]> {
  return sql.query(
    "copy-manifests-lock",
    `select m.digest, m.media_type as "mediaType", m.size, m.quarantined_at is not null or split_part(m.digest, ':', 2) <>
         case when m.digest like 'sha512:%' then encode(sha512(m.content), 'hex') else encode(sha256(m.content), 'hex') end
       as damaged
     from manifests m where m.repository_id = $1 and m.digest = any($2::text[]) order by m.digest for key share`,
    [repositoryId, digests],
  );
}

interface LockedBlob {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Its bytes may be gone. */
  readonly marked: boolean;
  readonly damaged: boolean;
}

/** The lock comes first: what is read after it, the collector cannot change until this is committed. */
async function lockBlobs(sql: Sql, repositoryId: number, manifests: readonly Digest[]): Promise<LockedBlob[]> {
  const rows = await sql.query<{ digest: Digest; size: string; marked: boolean; damaged: boolean }>(
    "copy-blobs-lock",
    `select s.digest, s.size, s.unreferenced_at is not null as marked, s.quarantined_at is not null as damaged
     from blobs s where s.digest in (
       select b.blob_digest from manifest_blobs b where b.repository_id = $1 and b.manifest_digest = any($2::text[]))
     order by s.digest for key share`,
    [repositoryId, manifests],
  );
  return rows.map(({ size, ...row }) => ({ ...row, size: Number(size) }));
}

/** What is there already is locked and loses its mark, in the same order as it would be made. */
async function insertAll(
  sql: Sql,
  { sourceId, destinationId }: Copy,
  manifests: readonly Digest[],
  blobs: readonly LockedBlob[],
): Promise<void> {
  const digests = blobs.map(({ digest }) => digest);
  await together(
    sql.query(
      "copy-links",
      `insert into repository_blobs (repository_id, digest)
       select $1, d from unnest($2::text[]) d order by d collate "C"
       on conflict (repository_id, digest) do update set unreferenced_at = null
       where repository_blobs.unreferenced_at is not null`,
      [destinationId, digests],
    ),
    sql.query(
      "copy-manifests",
      `insert into manifests (repository_id, digest, media_type, content, size, subject_digest, artifact_type, annotations)
       select $1, m.digest, m.media_type, m.content, m.size, m.subject_digest, m.artifact_type, m.annotations
       from manifests m where m.repository_id = $2 and m.digest = any($3::text[]) order by m.digest
       on conflict (repository_id, digest) do update
       set unreferenced_at = null, content = excluded.content, size = excluded.size, quarantined_at = null,
         checked_at = case when manifests.quarantined_at is null then manifests.checked_at else now() end
       where manifests.unreferenced_at is not null or manifests.quarantined_at is not null`,
      [destinationId, sourceId, manifests],
    ),
    ...EDGES.map(([name, table, column]) =>
      sql.query(
        name,
        `insert into ${table} (repository_id, manifest_digest, ${column})
         select $1, e.manifest_digest, e.${column} from ${table} e
         where e.repository_id = $2 and e.manifest_digest = any($3::text[])
         order by e.manifest_digest, e.${column} on conflict do nothing`,
        [destinationId, sourceId, manifests],
      ),
    ),
  );
}

const EDGES = [
  ["copy-edges-blobs", "manifest_blobs", "blob_digest"],
  ["copy-edges-children", "manifest_children", "child_digest"],
] as const;

/**
 * The tags that say by their name what they belong to. cosign adds a signature by writing the manifest anew with one layer
 * more (and another config): a tag that is there already moves only where it then has all that it had.
 */
async function copySignatureTags(
  sql: Sql,
  { sourceId, destinationId }: Copy,
  manifests: readonly Digest[],
): Promise<void> {
  const names = manifests.flatMap((digest) => SUFFIXES.map((suffix) => tagOf(digest, suffix)));
  const lost = (table: string, column: string): string =>
    `(select count(*) from (
        select x.${column} from ${table} x where x.repository_id = $1 and x.manifest_digest = tags.manifest_digest
        except
        select y.${column} from ${table} y where y.repository_id = $1 and y.manifest_digest = excluded.manifest_digest) l)`;
  await sql.query(
    "copy-signature-tags",
    `insert into tags (repository_id, name, manifest_digest)
     select $1, g.name, g.manifest_digest from tags g where g.repository_id = $2 and g.name = any($3::text[]) order by g.name
     on conflict (repository_id, name) do update set manifest_digest = excluded.manifest_digest, updated_at = now()
     where tags.manifest_digest <> excluded.manifest_digest
       and ${lost("manifest_blobs", "blob_digest")} <= 1 and ${lost("manifest_children", "child_digest")} = 0`,
    [destinationId, sourceId, names],
  );
}

const tagOf = (digest: Digest, suffix: string): Tag =>
  `${digest.slice(0, digest.indexOf(":"))}-${hexOf(digest)}${suffix}` as Tag;

const isDamaged = (digest: string): string =>
  `${digest} is damaged in the registry, or gone; push the image again before it is promoted`;

const tooMuch = (digest: string): string =>
  `more than ${maxCopiedManifests} manifests belong to ${digest}, with all that refers to it`;
