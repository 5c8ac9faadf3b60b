import type { Digest } from "../../oci/digest.ts";
import type { BlobInventory, WithdrawnBlob } from "../blob-inventory.ts";
import type { Session, Sql } from "../database.ts";
import type { Failpoint } from "../failpoint.ts";
import type { DoomedRow, Search } from "./doomed.ts";
import { mayBeWanted } from "./doomed.ts";
import { isPinned, keptBy } from "./marks.ts";
import { addItems, type GcItem } from "./runs.ts";

// Deleting: everything is looked at again under its lock, in a statement of its own after the one that locks, which sees
// what was committed until then. A row that somebody holds is left for the next run: the collector never waits. Each
// call is one transaction, of as many rows as it is given: pushes that want one of them wait for it.

export interface DeletionParts {
  readonly session: Session;
  readonly inventory: BlobInventory;
  readonly failpoint: Failpoint;
  /** Told why bytes could not be destroyed: their row is gone, and the sweep of what belongs to no upload finds them. */
  readonly onLeftOver: (error: unknown) => void;
}

/** Bytes that are destroyed at once: in S3 each is two statements and a request. */
const discardedAtOnce = 4;

/** Returns those that were deleted. */
export function deleteManifestRows(
  { session, failpoint }: DeletionParts,
  { run, doomed, untaggedSeconds }: { run: number; doomed: readonly DoomedRow[]; untaggedSeconds: number },
): Promise<DoomedRow[]> {
  return session.transaction(async (sql) => {
    const locked = await sql.query<Key>(
      "gc-lock-manifests",
      `select m.repository_id, m.digest from ${keys(1)} join manifests m using (repository_id, digest)
       where m.unreferenced_at <= now() - make_interval(secs => $3)
       order by m.repository_id, m.digest for update of m skip locked`,
      [...columns(doomed.map(toKey)), untaggedSeconds],
    );
    await failpoint("gc.afterLock");
    const going = await findUnkept(sql, locked);
    await failpoint("gc.afterRecheck");
    if (going.length > 0) {
      await sql.query(
        "gc-delete-children",
        `delete from manifest_children c using ${keys(1)}
         where c.repository_id = k.repository_id and c.manifest_digest = k.digest`,
        columns(going),
      );
      await sql.query(
        "gc-delete-manifests",
        `delete from manifests m using ${keys(1)} where m.repository_id = k.repository_id and m.digest = k.digest`,
        columns(going),
      );
    }
    return recorded({ sql, run, failpoint }, doomed, going);
  });
}

/**
 * Of the manifests `locked`, to which nothing new can lead: those that nothing leads to. What is not locked may be alive
 * and counts so, with all that it keeps.
 */
async function findUnkept(sql: Sql, locked: readonly Key[]): Promise<Key[]> {
  if (locked.length === 0) return [];
  return sql.query<Key>(
    "gc-unkept-manifests",
    `with recursive locked as materialized (select k.repository_id, k.digest from ${keys(1)}), kept as (
       select m.repository_id, m.digest from locked join manifests m using (repository_id, digest)
       where ${isPinned("m")}
         or exists (select from tags t where t.repository_id = m.repository_id and t.manifest_digest = m.digest)
         or exists (select from manifest_children c
              where c.repository_id = m.repository_id and c.child_digest = m.digest
                and (c.repository_id, c.manifest_digest) not in (select repository_id, digest from locked))
         or exists (select from manifests s
              where s.repository_id = m.repository_id and s.digest = m.subject_digest
                and (s.repository_id, s.digest) not in (select repository_id, digest from locked))
       union
       select kept.repository_id, e.digest from kept cross join lateral ${keptBy("kept")} e (digest)
     )
     select repository_id, digest from locked where (repository_id, digest) not in (select repository_id, digest from kept)`,
    columns(locked),
  );
}

/** Returns those that were deleted. */
export function deleteLinks(
  { session, failpoint }: DeletionParts,
  { run, graceSeconds }: Search,
  doomed: readonly DoomedRow[],
): Promise<DoomedRow[]> {
  return session.transaction(async (sql) => {
    const locked = await sql.query<Key>(
      "gc-lock-links",
      `select b.repository_id, b.digest from ${keys(1)} join repository_blobs b using (repository_id, digest)
       where b.unreferenced_at <= now() - make_interval(secs => $3)
       order by b.repository_id, b.digest for update of b skip locked`,
      [...columns(doomed.map(toKey)), graceSeconds],
    );
    await failpoint("gc.afterLock");
    const gone = await sql.query<Key>(
      "gc-delete-links",
      `delete from repository_blobs b using ${keys(1)}
       where b.repository_id = k.repository_id and b.digest = k.digest and not exists (
           select from manifest_blobs mb where mb.repository_id = b.repository_id and mb.blob_digest = b.digest)
         and not ${isPinned("b")} and not ${mayBeWanted("$3")}
       returning b.repository_id, b.digest`,
      [...columns(locked), graceSeconds],
    );
    return recorded({ sql, run, failpoint }, doomed, gone);
  });
}

/** Those of `doomed` that are `gone`, put on the run's list. */
async function recorded(
  { sql, run, failpoint }: { sql: Sql; run: number; failpoint: Failpoint },
  doomed: readonly DoomedRow[],
  gone: readonly Key[],
): Promise<DoomedRow[]> {
  const going = new Set(gone.map(({ repository_id, digest }) => `${repository_id} ${digest}`));
  const items = doomed.filter(({ repositoryId, digest }) => going.has(`${repositoryId} ${digest}`));
  await addItems(sql, run, items);
  await failpoint("gc.beforeCommit");
  return items;
}

interface Key {
  readonly repository_id: string;
  readonly digest: Digest;
}

const toKey = ({ repositoryId, digest }: DoomedRow): Key => ({ repository_id: String(repositoryId), digest });

/** The parameters `first` and the next, as rows of {@link Key}. */
const keys = (first: number): string =>
  `unnest($${first}::bigint[], $${first + 1}::text[]) as k (repository_id, digest)`;

const columns = (rows: readonly Key[]): [string[], Digest[]] => [
  rows.map(({ repository_id }) => repository_id),
  rows.map(({ digest }) => digest),
];

/**
 * Candidates, whose marks are committed: looked at again under their locks, then their bytes, then their rows. The bytes
 * are out of reach before the rows go and are destroyed after that is committed: a collector that lost its connection, and
 * with it the lock, puts them back. Returns those that were deleted; the others somebody has, or needs again.
 */
export async function deleteBlobs(
  { session, inventory, failpoint, onLeftOver }: DeletionParts,
  { run, graceSeconds }: Search,
  items: readonly GcItem[],
): Promise<GcItem[]> {
  const withdrawn: WithdrawnBlob[] = [];
  const restore = async (): Promise<void> => {
    for (const bytes of withdrawn.splice(0)) await bytes.restore();
  };
  try {
    const deleted = await session.transaction(async (sql) => {
      await restore();
      const digests = await lockCandidates(sql, items, graceSeconds);
      if (digests.size === 0) return [];
      await failpoint("gc.afterRecheck");
      for (const digest of digests) {
        const bytes = await inventory.withdraw(digest);
        if (bytes !== undefined) withdrawn.push(bytes);
        await failpoint("gc.afterObject");
      }
      await sql.query("gc-delete-blobs", "delete from blobs where digest = any($1::text[])", [[...digests]]);
      await failpoint("gc.afterRow");
      const going = items.filter(({ digest }) => digests.has(digest));
      await addItems(sql, run, going);
      await failpoint("gc.beforeCommit");
      return going;
    });
    while (withdrawn.length > 0)
      await Promise.all(withdrawn.splice(0, discardedAtOnce).map((bytes) => bytes.discard().catch(onLeftOver)));
    return deleted;
  } catch (error) {
    await restore();
    throw error;
  }
}

/** In two statements: whoever attached one before the lock was ours has committed, and the second one sees it. */
async function lockCandidates(sql: Sql, items: readonly GcItem[], graceSeconds: number): Promise<Set<Digest>> {
  const locked = await sql.query<{ digest: Digest }>(
    "gc-lock-blobs",
    `select digest from blobs where digest = any($1::text[]) and unreferenced_at <= now() - make_interval(secs => $2)
     order by digest for update skip locked`,
    [items.map(({ digest }) => digest), graceSeconds],
  );
  if (locked.length === 0) return new Set();
  const linked = await sql.query<{ digest: Digest }>(
    "gc-blob-links",
    "select distinct digest from repository_blobs where digest = any($1::text[])",
    [locked.map(({ digest }) => digest)],
  );
  const needed = new Set(linked.map(({ digest }) => digest));
  return new Set(locked.map(({ digest }) => digest).filter((digest) => !needed.has(digest)));
}
