import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { type Database, isViolation, type Sql } from "./database.ts";

/** A whole object of the bucket. */
export interface S3Object {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Of the blob it belongs to, if any. */
  readonly digest: Digest | undefined;
}

/** An object that may be gone. */
export interface DoomedObject {
  readonly key: string;
  /** False: parts of it may be there. */
  readonly isWhole: boolean;
  /** Of the multipart upload that was to write it, where that is known. */
  readonly uploadId: string | undefined;
}

/** A part of an object, as the bucket acknowledged it. */
export interface S3Part {
  readonly number: number;
  readonly etag: string;
  /** base64 of its CRC-32; undefined where the server keeps none. */
  readonly checksum: string | undefined;
}

interface ObjectRow {
  key: string;
  size: string;
  digest: Digest | null;
}

/**
 * Rows of `s3_objects`: what is in the bucket, without asking the bucket.
 *
 *   writing --whole--> piece <--keep, withdraw--> blob --release--> doomed --forget--> no row
 *      \------------------\------doom----------------------------/
 *
 * and of `s3_quarantine`, where the objects of a damaged blob go:  blob <--setAside, putBack--> row over there
 *
 * Each step is one update of the row itself, so of two that want it at once one finds it moved on.
 */
export class S3Objects {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Before anything is sent to the bucket under `key`. */
  async begin(key: string): Promise<void> {
    await this.#database.query("s3-begin", "insert into s3_objects (key) values ($1)", [key]);
  }

  async setUpload(key: string, uploadId: string): Promise<void> {
    await this.#database.query("s3-upload", "update s3_objects set upload_id = $2, touched_at = now() where key = $1", [
      key,
      uploadId,
    ]);
  }

  /** False when the object was given up meanwhile (swept as abandoned). */
  async addPart(key: string, { number, etag, checksum }: S3Part): Promise<boolean> {
    const rows = await this.#database.query(
      "s3-part",
      `with touched as (update s3_objects set touched_at = now() where key = $1 and state = 'writing' returning key)
       insert into s3_parts (key, number, etag, checksum) select key, $2, $3, $4 from touched returning 1`,
      [key, number, etag, checksum ?? null],
    );
    return rows.length > 0;
  }

  /** In the order of their numbers. */
  async findParts(key: string): Promise<S3Part[]> {
    const rows = await this.#database.query<{ number: number; etag: string; checksum: string | null }>(
      "s3-parts",
      "select number, etag, checksum from s3_parts where key = $1 order by number",
      [key],
    );
    return rows.map(({ number, etag, checksum }) => ({ number, etag, checksum: checksum ?? undefined }));
  }

  /** The bucket has all of it. False when it was given up meanwhile. */
  async setWhole(key: string, size: number): Promise<boolean> {
    const rows = await this.#database.query(
      "s3-whole",
      `with gone as (delete from s3_parts where key = $1)
       update s3_objects set state = 'piece', size = $2, upload_id = null, touched_at = now()
       where key = $1 and state = 'writing' returning 1`,
      [key, size],
    );
    return rows.length > 0;
  }

  /** @throws OciError BLOB_UPLOAD_UNKNOWN unless all are there and whole */
  async getPieces(keys: readonly string[]): Promise<S3Object[]> {
    const rows = await this.#database.query<ObjectRow>(
      "s3-pieces",
      `select o.key, o.size, o.digest from unnest($1::text[]) with ordinality as k (key, at)
       join s3_objects o on o.key = k.key where o.state in ('piece', 'blob') order by k.at`,
      [keys],
    );
    if (rows.length !== keys.length) throw new OciError("BLOB_UPLOAD_UNKNOWN");
    return rows.map(toObject);
  }

  /** The objects of a blob in their order; none: there is no such blob. */
  async findBlob(digest: Digest): Promise<S3Object[]> {
    const rows = await this.#database.query<ObjectRow>(
      "s3-blob",
      "select key, size, digest from s3_objects where digest = $1 and state = 'blob' order by position",
      [digest],
    );
    return rows.map(toObject);
  }

  /**
   * Make the pieces the blob `digest`. False when it has objects already.
   * @throws OciError BLOB_UPLOAD_UNKNOWN when one was given up meanwhile
   */
  async keep(digest: Digest, keys: readonly string[]): Promise<boolean> {
    try {
      // One row changes or not; only several need a transaction around them.
      if (keys.length === 1) await keep(this.#database, digest, keys);
      else await this.#database.transaction((sql) => keep(sql, digest, keys));
      return true;
    } catch (error) {
      if (isViolation(error, "s3_objects_blob")) return false;
      throw error;
    }
  }

  /** Take the objects away from the blob; they may be gone from now on. */
  async release(digest: Digest): Promise<DoomedObject[]> {
    const rows = await this.#database.query<DoomedRow>(
      "s3-release",
      `update s3_objects set state = 'doomed', touched_at = now()
       where digest = $1 and state = 'blob' returning key, size, upload_id`,
      [digest],
    );
    return rows.map(toDoomed);
  }

  /** Those of the keys that are nobody's, and may be gone from now on. A blob's objects are left alone. */
  async doom(keys: readonly string[]): Promise<DoomedObject[]> {
    const rows = await this.#database.query<DoomedRow>(
      "s3-doom",
      `update s3_objects set state = 'doomed', touched_at = now()
       where key = any($1::text[]) and state <> 'blob' returning key, size, upload_id`,
      [keys],
    );
    return rows.map(toDoomed);
  }

  /**
   * Take the objects away from the blob, in their order, without harm to them. `isSettled`: they became it more than an
   * hour ago, so no push counts on them as its pieces.
   */
  async withdraw(digest: Digest): Promise<{ readonly key: string; readonly isSettled: boolean }[]> {
    const rows = await this.#database.query<{ key: string; is_settled: boolean; position: number }>(
      "s3-withdraw",
      `with old as (
         select key, position, touched_at < now() - interval '1 hour' as is_settled
         from s3_objects where digest = $1 and state = 'blob' for update)
       update s3_objects o set state = 'piece', digest = null, position = null, touched_at = now()
       from old where o.key = old.key returning o.key, old.position, old.is_settled`,
      [digest],
    );
    return rows
      .toSorted((a, b) => a.position - b.position)
      .map(({ key, is_settled: isSettled }) => ({ key, isSettled }));
  }

  /** At most `limit` blobs after `last`, in the order of their digests. */
  async findBlobs(last: Digest | "", limit: number): Promise<{ readonly digest: Digest; readonly size: number }[]> {
    const rows = await this.#database.query<{ digest: Digest; size: string }>(
      "s3-blobs",
      `select digest, sum(size) as size from s3_objects
       where state = 'blob' and digest > $1 group by digest order by digest limit $2`,
      [last, limit],
    );
    return rows.map(({ digest, size }) => ({ digest, size: Number(size) }));
  }

  /** After the bucket has nothing under `key` any more. */
  async forget(key: string): Promise<void> {
    await this.#database.query("s3-forget", "delete from s3_objects where key = $1 and state = 'doomed'", [key]);
  }

  /** Take the objects away from the blob and keep them; returns their keys in their order. */
  async setAside(digest: Digest): Promise<string[]> {
    const rows = await this.#database.query<{ key: string; position: number }>(
      "s3-set-aside",
      `with taken as (
         delete from s3_objects where digest = $1 and state = 'blob' returning key, digest, position, size)
       insert into s3_quarantine (key, digest, position, size)
       select key, digest, position, size from taken returning key, position`,
      [digest],
    );
    return rows.toSorted((a, b) => a.position - b.position).map(({ key }) => key);
  }

  /** What was set aside under these keys; none unless all are there still. */
  async findAside(keys: readonly string[]): Promise<S3Object[]> {
    const rows = await this.#database.query<ObjectRow>(
      "s3-aside",
      "select key, size, digest from s3_quarantine where key = any($1::text[]) order by position",
      [keys],
    );
    return rows.length === keys.length ? rows.map(toObject) : [];
  }

  /** What was set aside is the blob again. False when it has other objects, or some of these are gone. */
  async putBack(keys: readonly string[]): Promise<boolean> {
    const rows = await this.#database
      .query(
        "s3-put-back",
        `with kept as (select * from s3_quarantine where key = any($1::text[]) for update),
         back as (delete from s3_quarantine q using kept
           where q.key = kept.key and (select count(*) from kept) = cardinality($1::text[])
           returning q.key, q.digest, q.position, q.size)
         insert into s3_objects (key, state, digest, position, size)
         select key, 'blob', digest, position, size from back returning 1`,
        [keys],
      )
      .catch((error: unknown) => {
        if (isViolation(error, "s3_objects_blob")) return [];
        throw error;
      });
    return rows.length > 0;
  }

  /** Whether all its objects became the blob more than an hour ago. */
  async isSettled(digest: Digest): Promise<boolean> {
    const [row] = await this.#database.query<{ settled: boolean | null }>(
      "s3-settled",
      `select bool_and(touched_at < now() - interval '1 hour') as settled
       from s3_objects where digest = $1 and state = 'blob'`,
      [digest],
    );
    return row?.settled === true;
  }

  /** Those of the keys that have no row anywhere. */
  async findUnknown(keys: readonly string[]): Promise<string[]> {
    const rows = await this.#database.query<{ key: string }>(
      "s3-unknown",
      `select k.key from unnest($1::text[]) as k (key)
       where not exists (select from s3_objects o where o.key = k.key)
         and not exists (select from s3_quarantine q where q.key = k.key) order by k.key collate "C"`,
      [keys],
    );
    return rows.map(({ key }) => key);
  }

  /** Keys that are no blob's and that nobody touched for `ms`. */
  async findIdle(ms: number): Promise<string[]> {
    const rows = await this.#database.query<{ key: string }>(
      "s3-idle",
      `select key from s3_objects
       where state <> 'blob' and touched_at < now() - make_interval(secs => $1) order by touched_at`,
      [ms / 1000],
    );
    return rows.map(({ key }) => key);
  }
}

interface DoomedRow {
  key: string;
  size: string | null;
  upload_id: string | null;
}

function toDoomed({ key, size, upload_id: uploadId }: DoomedRow): DoomedObject {
  return { key, isWhole: size !== null, uploadId: uploadId ?? undefined };
}

async function keep(sql: Sql, digest: Digest, keys: readonly string[]): Promise<void> {
  const rows = await sql.query(
    "s3-keep",
    `update s3_objects o set state = 'blob', digest = $1, position = k.at - 1, touched_at = now()
     from unnest($2::text[]) with ordinality as k (key, at) where o.key = k.key and o.state = 'piece' returning 1`,
    [digest, keys],
  );
  if (rows.length !== keys.length) throw new OciError("BLOB_UPLOAD_UNKNOWN");
}

function toObject({ key, size, digest }: ObjectRow): S3Object {
  return { key, size: Number(size), digest: digest ?? undefined };
}
