import { BatchedLookup } from "../storage/batched-lookup.ts";
import { type Database, isViolation, type Row, type Sql } from "../storage/database.ts";
import { together } from "../storage/statement-batch.ts";
import { appendChange } from "./changefeed-store.ts";
import { NotaryError } from "./errors.ts";
import type { Gun, RoleName } from "./tuf/names.ts";
import type { MetadataFile, StoredRole } from "./tuf/update.ts";

/** A file as it is served. */
export interface StoredFile {
  readonly content: Buffer;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

export interface LoadedFile {
  readonly bytes: Buffer;
  readonly expiresAt: Date;
}

export interface CurrentFile extends StoredFile {
  /** Of the current snapshot; undefined where there is none. */
  readonly snapshotExpiresAt: Date | undefined;
}

interface CurrentKey {
  readonly gun: Gun;
  readonly role: string;
}

/** A GUN whose row is locked until the transaction ends. */
export interface LockedCollection {
  readonly id: string;
  readonly gun: Gun;
}

export interface DueQuery {
  /** Whose timestamp, or snapshot, was signed no later. */
  readonly signedBefore: { readonly timestamp: Date; readonly snapshot: Date };
  /** Collections after this one. */
  readonly after: string;
  readonly limit: number;
}

/** A file is old once so much of its life is over: the metric and `goldseal doctor` warn of it. */
const oldShare = 0.7;

/**
 * One probe of the primary key, which alone has this order. Written as a join it goes through every version that a GUN
 * ever had, of which each day brings one.
 */
const FILE_OF_CURRENT = `cross join lateral (
  select f.sha256, f.content, f.created_at from trust_files f
  where f.collection_id = u.collection_id and f.role = u.role and f.version >= u.version order by f.version limit 1) f`;

/** Rows of `trust_collections`, `trust_files` and `trust_current`. */
export class MetadataStore {
  readonly #database: Database;
  readonly #current: BatchedLookup<CurrentKey, CurrentFile>;

  constructor(database: Database) {
    this.#database = database;
    this.#current = new BatchedLookup((keys) => findCurrent(database, keys), {
      nameOf: ({ gun, role }) => `${gun}\n${role}`,
    });
  }

  /** The highest version. */
  findCurrent(gun: Gun, role: string): Promise<CurrentFile | undefined> {
    return this.#current.find({ gun, role });
  }

  /** `sha256` in hex. */
  async findByHash(gun: Gun, role: string, sha256: string): Promise<StoredFile | undefined> {
    const rows = await this.#database.query(
      "trust-file-by-hash",
      `select f.content, f.created_at, f.expires_at from trust_collections c join trust_files f on f.collection_id = c.id
       where c.gun = $1 and f.role = $2 and f.sha256 = $3`,
      [gun, role, Buffer.from(sha256, "hex")],
    );
    return toFile(rows[0]);
  }

  async findByVersion(gun: Gun, role: string, version: number): Promise<StoredFile | undefined> {
    const rows = await this.#database.query(
      "trust-file-by-version",
      `select f.content, f.created_at, f.expires_at from trust_collections c join trust_files f on f.collection_id = c.id
       where c.gun = $1 and f.role = $2 and f.version = $3`,
      [gun, role, version],
    );
    return toFile(rows[0]);
  }

  /** Every current file, as of one moment. */
  async loadAll(gun: Gun): Promise<ReadonlyMap<string, LoadedFile>> {
    const rows = await this.#database.query(
      "trust-load-all",
      `select u.role, u.expires_at, f.content from trust_current u ${FILE_OF_CURRENT}
       where u.collection_id = (select id from trust_collections where gun = $1)`,
      [gun],
    );
    return new Map(rows.map(({ role, expires_at: expiresAt, content }) => [role, { bytes: content, expiresAt }]));
  }

  /** GUNs whose timestamp or snapshot is due, in the order of their ids. */
  async listDue({ signedBefore, after, limit }: DueQuery): Promise<LockedCollection[]> {
    return this.#database.query(
      "trust-due",
      `select c.id, c.gun from trust_collections c
       where c.id > $1::bigint and exists (
         select from trust_current u where u.collection_id = c.id
           and (u.role = 'timestamp' and u.signed_at <= $2 or u.role = 'snapshot' and u.signed_at <= $3))
       order by c.id limit $4`,
      [after, signedBefore.timestamp, signedBefore.snapshot, limit],
    );
  }

  /** How many current files of each base role, and of all delegations (`targets/`), are past 70 % of their life. */
  async countOld(now: Date): Promise<Map<string, number>> {
    const rows = await this.#database.query<{ role: string; count: number }>(
      "trust-old",
      `select case when role like 'targets/%' then 'targets/' else role end as role, count(*)::int as count
       from trust_current where warn_at <= $1 group by 1`,
      [now],
    );
    return new Map(rows.map(({ role, count }) => [role, count]));
  }

  /** GUNs that have trust data, whose name is none that this server gives to a repository it has. */
  async listOrphans(authority: string): Promise<string[]> {
    const rows = await this.#database.query<{ gun: string }>(
      "trust-orphans",
      `select c.gun from trust_collections c
       where exists (select from trust_current u where u.collection_id = c.id)
         and not exists (select from repositories r where c.gun = $1 || '/' || r.name)
       order by c.gun limit 1000`,
      [authority],
    );
    return rows.map(({ gun }) => gun);
  }
}

/** What a publish builds on. */
export interface Held {
  readonly collection: LockedCollection;
  readonly stored: ReadonlyMap<RoleName, StoredRole>;
}

export interface Wanted {
  readonly roles: ReadonlySet<RoleName>;
  /** Those of them whose bytes are needed. */
  readonly contents: ReadonlySet<RoleName>;
}

/**
 * Locks the GUN, whose row is made where there is none, and reads its current files as they are then: publishes and
 * renewals of one GUN wait for each other here.
 */
export async function holdCollection(sql: Sql, gun: Gun, wanted: Wanted, now: Date): Promise<Held> {
  const [collection, stored] = await together(tryLockCollection(sql, gun), loadStored(sql, gun, wanted));
  if (collection !== undefined) return { collection, stored };
  const text = "insert into trust_collections (gun, created_at) values ($1, $2) on conflict do nothing";
  await sql.query("trust-collection-insert", text, [gun, now]);
  // Another one may have been first, and have published.
  const [made, found] = await together(tryLockCollection(sql, gun), loadStored(sql, gun, wanted));
  if (made === undefined) throw new Error(`the row of ${gun} is neither there nor can it be made`);
  return { collection: made, stored: found };
}

/** Undefined where the GUN never had trust data. */
export async function tryLockCollection(sql: Sql, gun: Gun): Promise<LockedCollection | undefined> {
  const text = "select id, gun from trust_collections where gun = $1 for update";
  return (await sql.query<LockedCollection & Row>("trust-collection-lock", text, [gun]))[0];
}

/** A statement of its own after the lock: it sees what was committed while that was waited for. */
export async function loadStored(sql: Sql, gun: Gun, { roles, contents }: Wanted): Promise<Map<RoleName, StoredRole>> {
  const rows = await sql.query(
    "trust-load",
    `select u.role, u.version, u.expires_at, f.sha256, case when u.role = any($3::text[]) then f.content end as content
     from unnest($2::text[]) as wanted (role)
     join trust_current u on u.collection_id = (select id from trust_collections where gun = $1) and u.role = wanted.role
     ${FILE_OF_CURRENT}`,
    [gun, [...roles], [...contents]],
  );
  return new Map(
    rows.map(({ role, version, expires_at: expiresAt, sha256, content }) => [
      role,
      { version: Number(version), expiresAt, sha256: sha256.toString("hex"), bytes: content ?? undefined },
    ]),
  );
}

/**
 * Adds the files, the timestamp last, and tells the changefeed of it.
 * @throws NotaryError VERSION when a version of a role is there already: under the lock it cannot be
 */
export async function insertFiles(
  sql: Sql,
  collection: LockedCollection,
  files: readonly MetadataFile[],
  now: Date,
): Promise<void> {
  const { version, sha256 } = files.find(({ role }) => role === "timestamp") ?? {};
  if (version === undefined || sha256 === undefined) throw new Error("trust data is never stored without a timestamp");
  await together(
    insertRows(sql, collection, files, now),
    appendChange(sql, { createdAt: now, gun: collection.gun, version, sha256, category: "update" }),
  ).catch((cause: unknown) => {
    if (isViolation(cause, "trust_files_pkey")) throw new NotaryError("VERSION", { detail: {}, cause });
    throw cause;
  });
}

async function insertRows(
  sql: Sql,
  { id }: LockedCollection,
  files: readonly MetadataFile[],
  now: Date,
): Promise<void> {
  await sql.query(
    "trust-files-insert",
    `with file as (
       insert into trust_files (collection_id, role, version, sha256, content, expires_at, created_at)
       select $1, f.role, f.version, f.sha256, f.content, f.expires_at, $2
       from unnest($3::text[], $4::bigint[], $5::bytea[], $6::bytea[], $7::timestamptz[])
         with ordinality as f (role, version, sha256, content, expires_at, at)
       order by f.at
       returning collection_id, role, version, expires_at
     )
     insert into trust_current (collection_id, role, version, signed_at, expires_at, warn_at)
     select collection_id, role, version, $2, expires_at, $2 + (expires_at - $2) * ${oldShare} from file
     on conflict (collection_id, role) do update set version = excluded.version, signed_at = excluded.signed_at,
       expires_at = excluded.expires_at, warn_at = excluded.warn_at`,
    [
      ...[id, now],
      files.map(({ role }) => role),
      files.map(({ version }) => version),
      files.map(({ sha256 }) => Buffer.from(sha256, "hex")),
      files.map(({ bytes }) => Buffer.from(bytes)),
      files.map(({ expiresAt }) => expiresAt),
    ],
  );
}

/** Removes everything but the keys; false when there was nothing. */
export async function deleteFiles(sql: Sql, gun: Gun, now: Date): Promise<boolean> {
  const collection = await tryLockCollection(sql, gun);
  if (collection === undefined) return false;
  await sql.query("trust-current-delete", "delete from trust_current where collection_id = $1", [collection.id]);
  const text = "delete from trust_files where collection_id = $1 returning 1";
  const removed = await sql.query("trust-files-delete", text, [collection.id]);
  if (removed.length === 0) return false;
  await appendChange(sql, { createdAt: now, gun, version: 0, sha256: "", category: "deletion" });
  return true;
}

/** Whether the GUN has trust data; asked under the lock of its repository, which publishes take too. */
export async function hasFiles(sql: Sql, gun: Gun): Promise<boolean> {
  const text = `select 1 from trust_collections c join trust_current u on u.collection_id = c.id
    where c.gun = $1 limit 1`;
  return (await sql.query("trust-has-files", text, [gun])).length > 0;
}

async function findCurrent(database: Database, keys: readonly CurrentKey[]): Promise<(CurrentFile | undefined)[]> {
  const rows = await database.query(
    "trust-current",
    `select k.at, f.content, f.created_at, u.expires_at, s.expires_at as snapshot_expires_at
     from unnest($1::text[], $2::text[]) with ordinality as k (gun, role, at)
     join trust_collections c on c.gun = k.gun
     join trust_current u on u.collection_id = c.id and u.role = k.role
     ${FILE_OF_CURRENT}
     left join trust_current s on s.collection_id = c.id and s.role = 'snapshot'`,
    [keys.map(({ gun }) => gun), keys.map(({ role }) => role)],
  );
  const found: (CurrentFile | undefined)[] = Array.from({ length: keys.length });
  for (const row of rows) {
    const { content, created_at: createdAt, expires_at: expiresAt, snapshot_expires_at: snapshot } = row;
    found[Number(row.at) - 1] = { content, createdAt, expiresAt, snapshotExpiresAt: snapshot ?? undefined };
  }
  return found;
}

function toFile(row: Row | undefined): StoredFile | undefined {
  return row === undefined ? undefined : { content: row.content, createdAt: row.created_at, expiresAt: row.expires_at };
}
