import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { isManifestMediaType, isNonDistributable } from "../oci/media-types.ts";
import { clearBlobMarks, clearLinkMarks, type SeeBytes } from "./blob-rows.ts";
import { isViolation, type Sql } from "./database.ts";
import type { Failpoint } from "./failpoint.ts";

/** A manifest as it is stored: its exact bytes, and what was read in them. */
export interface NewManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly content: Buffer;
  readonly subject: Digest | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** Config and layers. */
  readonly blobs: readonly Descriptor[];
  /** Entries of an index. */
  readonly children: readonly Descriptor[];
}

export interface InsertParts {
  readonly failpoint: Failpoint;
  readonly seeBytes: SeeBytes;
}

/** What the repository holds under a digest that the manifest references. */
interface Held {
  readonly digest: Digest;
  readonly size: number;
  /** Of a manifest; undefined for a blob. */
  readonly mediaType: string | undefined;
  /** A collection has seen that nothing needed it here. */
  readonly fading: boolean;
  /** Of a blob that no repository needed: its bytes may be gone. */
  readonly doubtful: boolean;
}

/**
 * Inside a transaction: check that every reference is in this repository, as it is described, then insert. The
 * foreign keys lock what is referenced (in digest order), so nothing can be unlinked between check and commit.
 */
export async function insertManifest(
  sql: Sql,
  repositoryId: number,
  manifest: NewManifest,
  { failpoint, seeBytes }: InsertParts,
): Promise<void> {
  const held = await findHeld(sql, repositoryId, manifest);
  const references = resolve(manifest, held);
  // Where it changes nothing it still locks the row that is there: nobody deletes it before its tags name it. Bytes that
  // are not these are damaged, whether that was noticed or not.
  await sql.query(
    "manifest-insert",
    `insert into manifests (repository_id, digest, media_type, content, size, subject_digest, artifact_type, annotations)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     on conflict (repository_id, digest) do update
     set unreferenced_at = null, content = excluded.content, size = excluded.size, quarantined_at = null,
       checked_at = case when manifests.quarantined_at is null then manifests.checked_at else now() end
     where manifests.unreferenced_at is not null or manifests.quarantined_at is not null
       or manifests.content <> excluded.content`,
    [
      repositoryId,
      manifest.digest,
      manifest.mediaType,
      manifest.content,
      manifest.content.length,
      manifest.subject ?? null,
      manifest.artifactType ?? null,
      manifest.subject === undefined || manifest.annotations === undefined
        ? null
        : JSON.stringify(manifest.annotations),
    ],
  );
  await failpoint("manifest.afterInsert");
  await insertReferences(sql, repositoryId, manifest.digest, references).catch((cause: unknown) => {
    if (!isViolation(cause)) throw cause;
    throw new OciError("MANIFEST_BLOB_UNKNOWN", {
      message: "something this manifest references was deleted just now",
      cause,
    });
  });
  await failpoint("manifest.afterLock");
  await revive(sql, repositoryId, [...held.values()].flat(), seeBytes);
}

/**
 * What was about to be collected is needed again. The references are in, and keep it from the collector; locks are taken
 * as an upload takes them, the blob's first.
 * @throws OciError MANIFEST_BLOB_UNKNOWN for a blob whose bytes are gone
 */
async function revive(sql: Sql, repositoryId: number, held: readonly Held[], seeBytes: SeeBytes): Promise<void> {
  const doubtful = held.filter((one) => one.doubtful);
  for (const { digest, size } of doubtful) {
    if (!(await seeBytes(digest, size))) throw new OciError("MANIFEST_BLOB_UNKNOWN", { detail: { digests: [digest] } });
  }
  if (doubtful.length > 0) await clearBlobMarks(sql, digestsOf(doubtful));
  const fading = digestsOf(held.filter((one) => one.fading));
  if (fading.length === 0) return;
  await clearLinkMarks(sql, repositoryId, fading);
  await clearManifestMarks(sql, repositoryId, fading);
}

const digestsOf = (held: readonly Held[]): Digest[] => held.map(({ digest }) => digest);

async function clearManifestMarks(sql: Sql, repositoryId: number, digests: readonly Digest[]): Promise<void> {
  await sql.query(
    "manifest-marks-clear",
    `with held as (
       select digest from manifests
       where repository_id = $1 and digest = any($2::text[]) and unreferenced_at is not null
       order by digest for no key update
     )
     update manifests m set unreferenced_at = null from held where m.repository_id = $1 and m.digest = held.digest`,
    [repositoryId, digests],
  );
}

interface References {
  readonly blobs: readonly Digest[];
  readonly children: readonly Digest[];
}

async function insertReferences(sql: Sql, repositoryId: number, digest: Digest, references: References): Promise<void> {
  for (const [name, table, column, digests] of [
    ["manifest-blobs-insert", "manifest_blobs", "blob_digest", references.blobs],
    ["manifest-children-insert", "manifest_children", "child_digest", references.children],
  ] as const) {
    if (digests.length === 0) continue;
    await sql.query(
      name,
      `insert into ${table} (repository_id, manifest_digest, ${column})
       select $1, $2, d from unnest($3::text[]) d order by d collate "C" on conflict do nothing`,
      [repositoryId, digest, digests],
    );
  }
}

interface HeldRow {
  digest: Digest;
  size: string;
  media_type: string | null;
  fading: boolean;
  doubtful: boolean;
}

async function findHeld(sql: Sql, repositoryId: number, manifest: NewManifest): Promise<Map<string, Held[]>> {
  const digests = [...new Set([...manifest.blobs, ...manifest.children].map(({ digest }) => digest))];
  const held = new Map<string, Held[]>();
  if (digests.length === 0) return held;
  const rows = await sql.query<HeldRow>(
    "manifest-held",
    `select b.digest, s.size, null as media_type, b.unreferenced_at is not null as fading,
       s.unreferenced_at is not null as doubtful from repository_blobs b join blobs s on s.digest = b.digest
     where b.repository_id = $1 and b.digest = any($2::text[]) and s.quarantined_at is null
     union all
     select m.digest, m.size, m.media_type, m.unreferenced_at is not null, false from manifests m
     where m.repository_id = $1 and m.digest = any($2::text[]) and m.quarantined_at is null`,
    [repositoryId, digests],
  );
  for (const { digest, size, media_type, fading, doubtful } of rows) {
    const entry: Held = { digest, size: Number(size), mediaType: media_type ?? undefined, fading, doubtful };
    held.set(digest, [...(held.get(digest) ?? []), entry]);
  }
  return held;
}

/** @throws OciError naming every reference that is missing, or the first that is not as described */
function resolve(manifest: NewManifest, held: ReadonlyMap<string, readonly Held[]>): References {
  const missing: Descriptor[] = [];
  const blobs = new Set<Digest>();
  const children = new Set<Digest>();
  for (const descriptor of manifest.blobs) {
    const blob = held.get(descriptor.digest)?.find(({ mediaType }) => mediaType === undefined);
    if (blob !== undefined) blobs.add(checkSize(descriptor, blob).digest);
    else if (!isNonDistributable(descriptor.mediaType)) missing.push(descriptor);
  }
  for (const descriptor of manifest.children) {
    const entry = pickChild(descriptor, held.get(descriptor.digest) ?? []);
    if (entry === undefined) missing.push(descriptor);
    else (entry.mediaType === undefined ? blobs : children).add(checkSize(descriptor, entry).digest);
  }
  if (missing.length > 0) throw unknown(missing);
  return { blobs: [...blobs], children: [...children] };
}

/** An entry of an index is a manifest of the type it says; one of a type that is no manifest may be a blob. */
function pickChild({ digest, mediaType }: Descriptor, held: readonly Held[]): Held | undefined {
  const manifest = held.find((candidate) => candidate.mediaType !== undefined);
  if (manifest === undefined) return isManifestMediaType(mediaType) ? undefined : held[0];
  if (manifest.mediaType === mediaType) return manifest;
  throw new OciError("MANIFEST_INVALID", {
    message: `the index calls ${digest} a ${mediaType}, but it was pushed as ${manifest.mediaType}`,
  });
}

function checkSize(descriptor: Descriptor, held: Held): Held {
  if (descriptor.size === held.size) return held;
  throw new OciError("SIZE_INVALID", {
    message: `the descriptor of ${descriptor.digest} says ${descriptor.size} bytes, but it has ${held.size}`,
  });
}

const maxListed = 20;

function unknown(missing: readonly Descriptor[]): OciError {
  const digests = missing.slice(0, maxListed).map(({ digest }) => digest);
  return new OciError("MANIFEST_BLOB_UNKNOWN", {
    message: `this repository does not have ${digests[0]}${missing.length > 1 ? ` and ${missing.length - 1} more` : ""}; push it first`,
    detail: { digests },
  });
}
