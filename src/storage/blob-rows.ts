import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { BatchedLookup } from "./batched-lookup.ts";
import { type Confirm, type Database, isViolation, type Sql } from "./database.ts";
import { RIGHTS, type Seen, toSeen } from "./rights-row.ts";

export interface Mount {
  readonly repositoryId: number;
  readonly digest: Digest;
  readonly source: RepositoryName;
  readonly confirm: Confirm;
}

interface BlobKey {
  readonly repository: RepositoryName;
  readonly digest: Digest;
}

export interface BlobRow {
  /** Bytes. */
  readonly size: number;
  /** No manifest needs it here, and the collector has seen that: it goes unless somebody asks for it. */
  readonly unreferenced: boolean;
  /** Its bytes are missing or damaged: it counts as absent until somebody pushes it again. */
  readonly quarantined: boolean;
}

/** Whether the blob store has these bytes, all of them. */
export type SeeBytes = (digest: Digest, size: number) => Promise<boolean>;

/**
 * Rows of `blobs` (bytes that are in the blob store) and `repository_blobs` (who may serve them). The bytes of a row that
 * is marked as unreferenced may be gone: whoever attaches it looks at them first.
 */
export class BlobRows {
  readonly #database: Database;
  readonly #seeBytes: SeeBytes;
  readonly #rows: BatchedLookup<BlobKey, Seen<BlobRow>>;

  constructor(database: Database, seeBytes: SeeBytes) {
    this.#database = database;
    this.#seeBytes = seeBytes;
    this.#rows = new BatchedLookup((keys) => findRows(database, keys), {
      nameOf: ({ repository, digest }) => `${repository}\n${digest}`,
    });
  }

  /** Nothing is found when this repository does not have the blob. */
  look(repository: RepositoryName, digest: Digest): Promise<Seen<BlobRow> | undefined> {
    return this.#rows.find({ repository, digest });
  }

  /**
   * Somebody was told that the repository has the blob and will build on it: it is as good as new to the collector.
   * False when it went just now.
   */
  async keep(repository: RepositoryName, digest: Digest): Promise<boolean> {
    const rows = await this.#database.query(
      "blob-keep",
      `update repository_blobs b set unreferenced_at = null from repositories r
       where r.id = b.repository_id and r.name = $1 and b.digest = $2 returning 1`,
      [repository, digest],
    );
    return rows.length > 0;
  }

  /** Names of repositories that have the blob, after `last`, at most `limit`: where a mount without `from` may look. */
  async findHolders(digest: Digest, last: string, limit: number): Promise<RepositoryName[]> {
    const rows = await this.#database.query<{ name: RepositoryName }>(
      "blob-holders",
      `select r.name from repository_blobs b join repositories r on r.id = b.repository_id
       where b.digest = $1 and r.name > $2 order by r.name limit $3`,
      [digest, last, limit],
    );
    return rows.map(({ name }) => name);
  }

  /** Link a blob that `source` has into another repository. False when `source` does not have it (any more). */
  async mount({ repositoryId, digest, source, confirm }: Mount): Promise<boolean> {
    const mounting = this.#database.transaction(async (sql) => {
      await confirm(sql);
      // The lock comes first: what is read after it, the collector cannot change until this is committed.
      const [row] = await sql.query<{ size: string; marked: boolean }>(
        "blob-mount-lock",
        `select s.size, s.unreferenced_at is not null as marked
         from blobs s where s.digest = $1 and s.quarantined_at is null and exists (
           select from repository_blobs b join repositories r on r.id = b.repository_id
           where b.digest = s.digest and r.name = $2) for key share of s`,
        [digest, source],
      );
      if (row === undefined || (row.marked && !(await this.#seeBytes(digest, Number(row.size)))))
        throw new OciError("BLOB_UNKNOWN");
      await sql.query(
        "blob-mount",
        `insert into repository_blobs (repository_id, digest) values ($1, $2)
         on conflict (repository_id, digest) do update set unreferenced_at = null`,
        [repositoryId, digest],
      );
      if (row.marked) await clearBlobMarks(sql, [digest]);
    });
    return mounting.then(
      () => true,
      (cause: unknown) => {
        if (cause instanceof OciError && cause.code === "BLOB_UNKNOWN") return false;
        throw cause;
      },
    );
  }

  /**
   * Take the blob out of one repository; its bytes stay while any repository has it.
   * @throws OciError BLOB_UNKNOWN, IN_USE when a manifest of the repository needs it
   */
  async unlink(repository: RepositoryName, digest: Digest, confirm: Confirm): Promise<void> {
    await this.#database
      .transaction(async (sql) => {
        await confirm(sql);
        const rows = await sql.query(
          "blob-unlink",
          `delete from repository_blobs b using repositories r
           where r.id = b.repository_id and r.name = $1 and b.digest = $2 returning 1`,
          [repository, digest],
        );
        if (rows.length === 0) throw new OciError("BLOB_UNKNOWN", { detail: { digest } });
      })
      .catch((cause: unknown) => {
        if (!isViolation(cause, "manifest_blobs_blob")) throw cause;
        throw new OciError("IN_USE", {
          message: `a manifest of ${repository} still needs ${digest}; delete the manifest first`,
          cause,
        });
      });
  }
}

export interface BlobLink {
  readonly repositoryId: number;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Looks whether the bytes are in the blob store, and puts them there again if they are not. */
  ensureBytes(): Promise<void>;
  /** Puts the bytes there again, whatever is there. */
  replaceBytes(): Promise<void>;
}

/**
 * Record that the bytes of a blob, which were put into the blob store just now, are there, and link them into a
 * repository. A collection may have taken them since: unless the row says that they stay, they are looked for again, while
 * the row is locked and nobody can take them. Of a blob in quarantine, what is there is not trusted at all.
 */
export async function linkBlob(
  sql: Sql,
  { repositoryId, digest, size, ensureBytes, replaceBytes }: BlobLink,
): Promise<void> {
  const [row] = await sql.query<{ fresh: boolean; marked: boolean; quarantined: boolean }>(
    "blob-link",
    // xmax tells a row that was there, and got locked, from one that is new.
    `with stored as (
       insert into blobs (digest, size) values ($2, $3) on conflict (digest) do update set digest = excluded.digest
       returning digest, xmax = 0 as fresh, unreferenced_at is not null as marked,
         quarantined_at is not null as quarantined
     ), linked as (
       insert into repository_blobs (repository_id, digest) select $1, digest from stored
       on conflict (repository_id, digest) do update set unreferenced_at = null
     )
     select fresh, marked, quarantined from stored`,
    [repositoryId, digest, size],
  );
  if (row?.quarantined === true) await replaceBytes();
  else if (row?.fresh === true || row?.marked === true) await ensureBytes();
  if (row?.marked === true || row?.quarantined === true) {
    await sql.query(
      "blob-revive",
      `update blobs set size = $2, unreferenced_at = null, adopted_at = null, quarantined_at = null, checked_at = now()
       where digest = $1`,
      [digest, size],
    );
  }
}

/** The bytes of all of these were seen, in transactions that keep them from the collector. */
export async function clearBlobMarks(sql: Sql, digests: readonly Digest[]): Promise<void> {
  await sql.query(
    "blob-marks-clear",
    `with held as (
       select digest from blobs where digest = any($1::text[]) and unreferenced_at is not null
       order by digest for no key update
     )
     update blobs b set unreferenced_at = null, adopted_at = null from held where held.digest = b.digest`,
    [digests],
  );
}

/** Something of the repository needs these again. */
export async function clearLinkMarks(sql: Sql, repositoryId: number, digests: readonly Digest[]): Promise<void> {
  await sql.query(
    "link-marks-clear",
    `with held as (
       select digest from repository_blobs
       where repository_id = $1 and digest = any($2::text[]) and unreferenced_at is not null
       order by digest for no key update
     )
     update repository_blobs b set unreferenced_at = null from held where b.repository_id = $1 and b.digest = held.digest`,
    [repositoryId, digests],
  );
}

const FIND_ROWS = `
  select k.at, s.size, b.unreferenced_at is not null, s.quarantined_at is not null, ${RIGHTS}
  from unnest($1::text[], $2::text[]) with ordinality as k (name, digest, at)
  left join repositories r on r.name = k.name
  left join repository_blobs b on b.repository_id = r.id and b.digest = k.digest
  left join blobs s on s.digest = b.digest`;

async function findRows(database: Database, keys: readonly BlobKey[]): Promise<Seen<BlobRow>[]> {
  const rows = await database.lookUp({
    name: "blob-rows",
    text: FIND_ROWS,
    keys: [keys.map(({ repository }) => repository), keys.map(({ digest }) => digest)],
  });
  return toSeen(rows, ([, size, unreferenced, quarantined]) => {
    if (size === null) return undefined;
    return { size: Number(size), unreferenced: unreferenced === "t", quarantined: quarantined === "t" };
  });
}
