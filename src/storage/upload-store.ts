import { randomBytes } from "node:crypto";
import type { Admission } from "../oci/access.ts";
import type { Digest, DigestAlgorithm } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { type BlobLink, linkBlob } from "./blob-rows.ts";
import type { Confirm, Database } from "./database.ts";
import { ensureRepository } from "./repository-store.ts";

/** An upload as far as it was acknowledged. */
export interface UploadSession {
  readonly id: string;
  readonly repositoryId: number;
  /** What the registry hashes with while it receives. */
  readonly algorithm: DigestAlgorithm;
  readonly size: number;
  /** Of everything so far; known while the upload is one segment that began at 0. */
  readonly digest: Digest | undefined;
  /** Names of the pieces in the blob store, in order. */
  readonly segments: readonly string[];
}

export interface Segment {
  readonly name: string;
  readonly size: number;
  readonly digest: Digest;
}

/** A blob whose bytes are in the blob store already. */
export type NewBlob = Omit<BlobLink, "repositoryId">;

export interface LastBlob extends NewBlob {
  readonly confirm: Confirm;
}

export interface WholeBlob extends LastBlob {
  readonly repository: RepositoryName;
  readonly admission: Admission;
}

/** Who may continue an upload: the one who began it, in the repository it was begun in. */
export interface UploadKey {
  readonly id: string;
  readonly repository: RepositoryName;
  /** As `principalOf` names them. */
  readonly principal: string;
}

interface SessionRow {
  id: string;
  repository_id: string;
  algorithm: DigestAlgorithm;
  size: string;
  digest: Digest | null;
  segments: string[];
}

/**
 * Rows of `upload_sessions`. Every request that adds bytes writes a segment of its own and then moves the row on from
 * the size it began at: of two that began at the same size one wins, and neither touches the other's bytes.
 *
 *   open --append (size as expected)--> open        POST makes it, PATCH appends
 *   open --finish (row deleted, blob linked)--> gone PUT; the one that deletes the row wins
 *   open --cancel or sweep--> gone                   DELETE, or nobody came back
 */
export class UploadStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Returns the id: 128 random bits in the form of a UUID. */
  async create(repositoryId: number, principal: string, algorithm: DigestAlgorithm): Promise<string> {
    const hex = randomBytes(16).toString("hex");
    const id = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    await this.#database.query(
      "upload-create",
      "insert into upload_sessions (id, repository_id, principal, algorithm) values ($1, $2, $3, $4)",
      [id, repositoryId, principal, algorithm],
    );
    return id;
  }

  /** @throws OciError BLOB_UPLOAD_UNKNOWN, also for the upload of someone else or of another repository */
  async get({ id, repository, principal }: UploadKey): Promise<UploadSession> {
    const [row] = await this.#database.query<SessionRow>(
      "upload-get",
      `select u.id, u.repository_id, u.algorithm, u.size, u.digest, u.segments
       from upload_sessions u join repositories r on r.id = u.repository_id
       where u.id = $1 and r.name = $2 and u.principal = $3`,
      [id, repository, principal],
    );
    if (row === undefined) throw new OciError("BLOB_UPLOAD_UNKNOWN");
    return toSession(row);
  }

  /** The session with `segment` added, or undefined when it is no longer as it was read (moved on, or gone). */
  async append(session: UploadSession, segment: Segment): Promise<UploadSession | undefined> {
    const digest = session.size === 0 ? segment.digest : null;
    const [row] = await this.#database.query<SessionRow>(
      "upload-append",
      `update upload_sessions
       set size = size + $3, digest = $4, segments = segments || $5::text, touched_at = now()
       where id = $1 and size = $2 and cardinality(segments) = $6
       returning id, repository_id, algorithm, size, digest, segments`,
      [session.id, session.size, segment.size, digest, segment.name, session.segments.length],
    );
    return row === undefined ? undefined : toSession(row);
  }

  /**
   * End the session and link its blob.
   * @throws OciError BLOB_UPLOAD_UNKNOWN when another request ended it first
   */
  async finish(session: UploadSession, { confirm, ...blob }: LastBlob): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      const rows = await sql.query(
        "upload-finish",
        "delete from upload_sessions where id = $1 and size = $2 returning id",
        [session.id, session.size],
      );
      if (rows.length === 0) throw new OciError("BLOB_UPLOAD_UNKNOWN");
      await linkBlob(sql, { repositoryId: session.repositoryId, ...blob });
    });
  }

  /** Link a blob that came without a session, making the repository at a first push. */
  async linkWhole({ repository, admission, confirm, ...blob }: WholeBlob): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      await linkBlob(sql, { repositoryId: await ensureRepository(sql, repository, admission), ...blob });
    });
  }

  /** Forget the session; false when it was gone already. Its segments are the caller's to remove. */
  async remove(id: string): Promise<boolean> {
    const rows = await this.#database.query("upload-remove", "delete from upload_sessions where id = $1 returning id", [
      id,
    ]);
    return rows.length > 0;
  }

  /** Forget every session that nobody touched for `hours`; returns the names of their segments. */
  async removeAbandoned(hours: number): Promise<string[]> {
    const rows = await this.#database.query<{ segments: string[] }>(
      "upload-sweep",
      "delete from upload_sessions where touched_at < now() - make_interval(hours => $1) returning segments",
      [hours],
    );
    return rows.flatMap(({ segments }) => segments);
  }

  /** Which of these segment names belong to a session. */
  async findSegmentsInUse(names: readonly string[]): Promise<Set<string>> {
    const rows = await this.#database.query<{ segment: string }>(
      "upload-segments",
      "select s as segment from upload_sessions, unnest(segments) s where s = any($1::text[])",
      [names],
    );
    return new Set(rows.map(({ segment }) => segment));
  }
}

function toSession(row: SessionRow): UploadSession {
  return {
    id: row.id,
    repositoryId: Number(row.repository_id),
    algorithm: row.algorithm,
    size: Number(row.size),
    digest: row.digest ?? undefined,
    segments: row.segments,
  };
}
