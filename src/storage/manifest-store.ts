import { LRUCache } from "lru-cache";
import type { Admission } from "../oci/access.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Reference, Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { BatchedLookup } from "./batched-lookup.ts";
import type { SeeBytes } from "./blob-rows.ts";
import { BrokenBytesError } from "./broken-bytes.ts";
import { type Confirm, type Database, isViolation, type Sql } from "./database.ts";
import { mustHaveTag, mustNotRun } from "./deployments.ts";
import { type Failpoint, noFailpoint } from "./failpoint.ts";
import { type Author, recordPush } from "./image-history.ts";
import { insertManifest, type NewManifest } from "./manifest-insert.ts";
import { type FoundManifest, findRows, type ManifestKey, type ManifestRow } from "./manifest-lookup.ts";
import { ensureRepository } from "./repository-store.ts";
import type { Seen } from "./rights-row.ts";
import { together } from "./statement-batch.ts";
import { deleteTagRow, deleteTagsOf, noTagSigner, putTags, type TagMove, type TagSigner } from "./tag-rows.ts";

/** One entry of the referrers list, as its row keeps it. */
export interface ReferrerRow extends ManifestRow {
  readonly artifactType: string | undefined;
  /** JSON text of the annotations. */
  readonly annotations: string | undefined;
}

export interface ReferrersQuery {
  readonly repository: RepositoryName;
  readonly subject: Digest;
  readonly artifactType: string | undefined;
  readonly last: string;
  readonly limit: number;
}

export interface ManifestPush {
  readonly repository: RepositoryName;
  readonly admission: Admission;
  readonly manifest: NewManifest;
  readonly tags: readonly Tag[];
  readonly by: Author;
  readonly confirm: Confirm;
}

/** Bytes of manifests kept in memory: what a digest names never changes. Who may see them is asked every time. */
const maxCachedBytes = 32 * 1024 * 1024;

const maxAnnotationBytes = 3 * 1024 * 1024;

/** A manifest that comes in, and the tags that will name it. */
export interface Pushed {
  readonly repositoryId: number;
  readonly manifest: Pick<NewManifest, "digest" | "subject">;
  readonly tags: readonly Tag[];
}

export interface ManifestStoreParts {
  readonly seeBytes: SeeBytes;
  readonly failpoint?: Failpoint;
  /** What else belongs to a push, in its transaction. */
  readonly onPush?: (sql: Sql, pushed: Pushed) => Promise<void>;
  readonly tagSigner?: TagSigner;
}

/** Rows of `manifests`, their references, and `tags` (tag-rows.ts). */
export class ManifestStore {
  readonly #database: Database;
  readonly #failpoint: Failpoint;
  readonly #seeBytes: SeeBytes;
  readonly #onPush: (sql: Sql, pushed: Pushed) => Promise<void>;
  readonly #tagSigner: TagSigner;
  readonly #rows: BatchedLookup<ManifestKey, Seen<FoundManifest>>;
  readonly #contents = new LRUCache<Digest, Buffer>({
    maxSize: maxCachedBytes,
    sizeCalculation: ({ length }) => length + 256,
  });

  constructor(database: Database, parts: ManifestStoreParts) {
    const { seeBytes, failpoint = noFailpoint, tagSigner = noTagSigner, onPush = async () => undefined } = parts;
    this.#onPush = onPush;
    this.#database = database;
    this.#failpoint = failpoint;
    this.#seeBytes = seeBytes;
    this.#tagSigner = tagSigner;
    this.#rows = new BatchedLookup((keys) => findRows(database, keys), {
      nameOf: ({ repository, reference }) =>
        `${repository}\n${reference.kind === "tag" ? reference.tag : reference.digest}`,
    });
  }

  /** Nothing is found when the repository has no such tag or digest. */
  look(repository: RepositoryName, reference: Reference): Promise<Seen<FoundManifest> | undefined> {
    return this.#rows.find({ repository, reference });
  }

  /** The exact bytes received; undefined when the manifest was deleted since its row was read. */
  async findContent(row: FoundManifest): Promise<Buffer | undefined> {
    return this.#contents.get(row.digest) ?? (await this.#load(row));
  }

  /** Whether nothing that it needs, through all indexes, is in quarantine. */
  async isWhole({ repositoryId, digest }: FoundManifest): Promise<boolean> {
    const [row] = await this.#database.query<{ damaged: boolean }>(
      "manifest-whole",
      `with recursive needed as (
         select $1::bigint as repository_id, $2::text collate "C" as digest
         union
         select c.repository_id, c.child_digest from needed n
         join manifest_children c on c.repository_id = n.repository_id and c.manifest_digest = n.digest
       )
       select exists (
         select from needed n join manifests m on m.repository_id = n.repository_id and m.digest = n.digest
         where m.quarantined_at is not null
       ) or exists (
         select from needed n join manifest_blobs mb on mb.repository_id = n.repository_id and mb.manifest_digest = n.digest
         join blobs b on b.digest = mb.blob_digest where b.quarantined_at is not null
       ) as damaged`,
      [repositoryId, digest],
    );
    return row?.damaged !== true;
  }

  /**
   * Store the manifest and move the tags to it, in one transaction; a first push makes the repository.
   * @throws OciError MANIFEST_BLOB_UNKNOWN, SIZE_INVALID, MANIFEST_INVALID for what it references; NAME_UNKNOWN; DENIED for
   *   an immutable tag
   */
  async put({ repository, admission, manifest, tags, by, confirm }: ManifestPush): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      const repositoryId = await ensureRepository(sql, repository, admission);
      await together(
        recordPush(sql, { repositoryId, digest: manifest.digest, tags, by }),
        this.#onPush(sql, { repositoryId, manifest, tags }),
        insertManifest(sql, repositoryId, manifest, { failpoint: this.#failpoint, seeBytes: this.#seeBytes }),
      );
      if (tags.length > 0) {
        const { digest, content } = manifest;
        await this.moveTags(sql, { repository, repositoryId, tags, digest, size: content.length });
        await this.#failpoint("tag.beforeCommit");
      }
      await this.#failpoint("manifest.beforeCommit");
    });
    await this.#failpoint("manifest.afterCommit");
    if (tags.length > 0) await this.#failpoint("tag.afterCommit");
  }

  /**
   * Within the transaction `sql`, which holds the repository and the manifest; those under a rule are signed.
   * @throws OciError DENIED where they cannot be, and for an immutable one
   */
  async moveTags(sql: Sql, move: TagMove): Promise<void> {
    const tags = await putTags(sql, move);
    if (tags.length > 0) await this.#tagSigner.sign(sql, { ...move, tags });
  }

  /**
   * Within the transaction `sql`. What it named; undefined where it was not there.
   * @throws OciError DENIED where it is immutable, or signed under a rule, and that cannot be taken back
   */
  async removeTag(sql: Sql, repository: RepositoryName, tag: Tag): Promise<Digest | undefined> {
    const row = await deleteTagRow(sql, repository, tag);
    if (row?.signed === true) await this.#tagSigner.withdraw(sql, { repository, tags: [tag], digest: row.digest });
    return row?.digest;
  }

  /** @throws OciError MANIFEST_UNKNOWN; DENIED as {@link removeTag}; RunsError for the last tag of what the cluster runs */
  async deleteTag(repository: RepositoryName, tag: Tag, confirm: Confirm): Promise<void> {
    await this.#failpoint("del.beforeRow");
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      const digest = await this.removeTag(sql, repository, tag);
      if (digest === undefined) throw new OciError("MANIFEST_UNKNOWN", { detail: { tag } });
      await mustHaveTag(sql, repository, digest);
    });
    await this.#failpoint("del.afterRow");
  }

  /**
   * Delete the manifest and every tag that names it.
   * @throws OciError MANIFEST_UNKNOWN, IN_USE when an index of the repository lists it; DENIED as {@link deleteTag};
   *   RunsError where the cluster runs it
   */
  async delete(repository: RepositoryName, digest: Digest, confirm: Confirm): Promise<void> {
    await this.#failpoint("del.beforeRow");
    await this.#database
      .transaction(async (sql) => {
        await confirm(sql);
        const [row] = await sql.query<{ repository_id: string }>(
          "manifest-lock",
          `select m.repository_id from manifests m join repositories r on r.id = m.repository_id
           where r.name = $1 and m.digest = $2 for update of m`,
          [repository, digest],
        );
        if (row === undefined) throw new OciError("MANIFEST_UNKNOWN", { detail: { digest } });
        await mustNotRun(sql, repository, digest);
        const tags = await deleteTagsOf(sql, row.repository_id, digest);
        const text = "delete from manifests where repository_id = $1 and digest = $2";
        await sql.query("manifest-delete", text, [row.repository_id, digest]);
        if (tags.length > 0) await this.#tagSigner.withdraw(sql, { repository, tags, digest });
      })
      .catch((cause: unknown) => {
        if (!isViolation(cause, "manifest_children_child")) throw cause;
        const message = `an index of ${repository} lists ${digest}; delete the index first`;
        throw new OciError("IN_USE", { message, cause });
      });
    await this.#failpoint("del.afterRow");
  }

  /** Tags after `last`, in ASCII order; undefined when there is no such repository. */
  async listTags(repository: RepositoryName, last: string, limit: number): Promise<string[] | undefined> {
    const [row] = await this.#database.query<{ tags: string }>(
      "tags-list",
      `select array_to_string(array(select t.name from tags t where t.repository_id = r.id and t.name > $2 order by t.name limit $3), ',') as tags
       from repositories r where r.name = $1`,
      [repository, last, limit],
    );
    // No tag has a comma, and the driver reads an array character by character.
    return row?.tags.split(",").filter((tag) => tag !== "");
  }

  /**
   * Manifests of the repository whose subject is `subject`, by digest, after `last`: at most `limit`, and fewer where
   * their annotations would make the answer larger than a manifest may be.
   */
  async listReferrers({ repository, subject, artifactType, last, limit }: ReferrersQuery): Promise<ReferrerRow[]> {
    const rows = await this.#database.query<ReferrerSqlRow>(
      "referrers-list",
      `with page as (
         select m.repository_id, m.digest, sum(coalesce(octet_length(m.annotations), 0)) over (order by m.digest)
           - coalesce(octet_length(m.annotations), 0) as bytes_before
         from (
           select m.* from manifests m join repositories r on r.id = m.repository_id
           where r.name = $1 and m.subject_digest = $2 and m.digest > $3 and ($4::text is null or m.artifact_type = $4)
           order by m.digest limit $5
         ) m
       )
       select m.digest, m.media_type, m.size, m.artifact_type, m.annotations
       from page join manifests m on m.repository_id = page.repository_id and m.digest = page.digest
       where page.bytes_before < $6 order by m.digest`,
      [repository, subject, last, artifactType ?? null, limit, maxAnnotationBytes],
    );
    return rows.map((row) => ({
      digest: row.digest,
      mediaType: row.media_type,
      size: row.size,
      artifactType: row.artifact_type ?? undefined,
      annotations: row.annotations ?? undefined,
    }));
  }

  async #load({ repositoryId, digest }: FoundManifest): Promise<Buffer | undefined> {
    const [row] = await this.#database.query<{ content: Buffer }>(
      "manifest-content",
      "select content from manifests where repository_id = $1 and digest = $2",
      [repositoryId, digest],
    );
    if (row === undefined) return undefined;
    // Fail loudly, never serve it; and what is kept here outlives the row's repair.
    if (digestOf(row.content, algorithmOf(digest)) !== digest)
      throw new BrokenBytesError(`manifest ${digest} has other bytes`);
    this.#contents.set(digest, row.content);
    return row.content;
  }
}

interface ReferrerSqlRow {
  digest: Digest;
  media_type: string;
  size: number;
  artifact_type: string | null;
  annotations: string | null;
}

/** Everything that holds on to blobs of the repository, indexes before what they list. */
export async function deleteManifests(sql: Sql, repositoryId: number): Promise<void> {
  await sql.query("manifest-children-clear", "delete from manifest_children where repository_id = $1", [repositoryId]);
  await sql.query("manifests-clear", "delete from manifests where repository_id = $1", [repositoryId]);
}
