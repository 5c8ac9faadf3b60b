import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { BatchedLookup } from "./batched-lookup.ts";
import { type Confirm, type Database, isViolation, type Sql } from "./database.ts";

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

/** Rows of `blobs` (bytes that are in the blob store) and `repository_blobs` (who may serve them). */
export class BlobRows {
  readonly #database: Database;
  readonly #sizes: BatchedLookup<BlobKey, number>;

  constructor(database: Database) {
    this.#database = database;
    this.#sizes = new BatchedLookup((keys) => findSizes(database, keys), {
      nameOf: ({ repository, digest }) => `${repository}\n${digest}`,
    });
  }

  /** Size in bytes, undefined when this repository does not have the blob. */
  findSize(repository: RepositoryName, digest: Digest): Promise<number | undefined> {
    return this.#sizes.find({ repository, digest });
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
    if ((await this.findSize(source, digest)) === undefined) return false;
    const mounting = this.#database.transaction(async (sql) => {
      await confirm(sql);
      const rows = await sql.query(
        "blob-mount",
        `insert into repository_blobs (repository_id, digest)
         select $1, b.digest from repository_blobs b join repositories r on r.id = b.repository_id
         where b.digest = $2 and r.name = $3
         on conflict (repository_id, digest) do update set digest = excluded.digest returning 1`,
        [repositoryId, digest, source],
      );
      if (rows.length === 0) throw new OciError("BLOB_UNKNOWN");
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

/** Record that the bytes of `digest` are in the blob store, and link them into the repository. */
export async function linkBlob(sql: Sql, repositoryId: number, digest: Digest, size: number): Promise<void> {
  await sql.query(
    "blob-link",
    `with stored as (insert into blobs (digest, size) values ($2, $3) on conflict (digest) do update set digest = excluded.digest returning digest)
     insert into repository_blobs (repository_id, digest) select $1, digest from stored on conflict do nothing`,
    [repositoryId, digest, size],
  );
}

async function findSizes(database: Database, keys: readonly BlobKey[]): Promise<(number | undefined)[]> {
  const rows = await database.query<{ at: string; size: string }>(
    "blob-sizes",
    `select k.at, s.size
     from unnest($1::text[], $2::text[]) with ordinality as k (name, digest, at)
     join repositories r on r.name = k.name
     join repository_blobs b on b.repository_id = r.id and b.digest = k.digest
     join blobs s on s.digest = b.digest`,
    [keys.map(({ repository }) => repository), keys.map(({ digest }) => digest)],
  );
  const sizes: (number | undefined)[] = Array.from({ length: keys.length });
  for (const { at, size } of rows) sizes[Number(at) - 1] = Number(size);
  return sizes;
}
