import type { Digest } from "../../oci/digest.ts";
import type { BlobInventory, WithdrawnBlob } from "../blob-inventory.ts";
import type { Session, Sql } from "../database.ts";
import type { Failpoint } from "../failpoint.ts";
import type { DoomedRow, Search } from "./doomed.ts";
import { mayBeWanted } from "./doomed.ts";
import { isPinned, keptBy } from "./marks.ts";
import { addItems, type GcItem } from "./runs.ts";

// Deleting: everything is looked at again under its lock, in a statement of its own after the one that locks, which sees
// what was committed until then. A row that somebody holds is left for the next run: the collector never waits.

export interface DeletionParts {
  readonly session: Session;
  readonly inventory: BlobInventory;
  readonly failpoint: Failpoint;
}

/** `doomed` of one repository. Returns what was deleted. */
export function deleteManifestRows(
  { session, failpoint }: DeletionParts,
  { run, doomed, untaggedSeconds }: { run: number; doomed: readonly DoomedRow[]; untaggedSeconds: number },
): Promise<DoomedRow[]> {
  return session.transaction(async (sql) => {
    const repositoryId = doomed[0]?.repositoryId;
    const rows = await sql.query<{ digest: Digest }>(
      "gc-lock-manifests",
      `select digest from manifests
       where repository_id = $1 and digest = any($2::text[]) and unreferenced_at <= now() - make_interval(secs => $3)
       order by digest for update skip locked`,
      [repositoryId, doomed.map(({ digest }) => digest), untaggedSeconds],
    );
    const locked = rows.map(({ digest }) => digest);
    await failpoint("gc.afterLock");
    const going = await findUnkept(sql, repositoryId, locked);
    await failpoint("gc.afterRecheck");
    await sql.query(
      "gc-delete-children",
      "delete from manifest_children where repository_id = $1 and manifest_digest = any($2::text[])",
      [repositoryId, [...going]],
    );
    await sql.query(
      "gc-delete-manifests",
      "delete from manifests where repository_id = $1 and digest = any($2::text[])",
      [repositoryId, [...going]],
    );
    const items = doomed.filter(({ digest }) => going.has(digest));
    await addItems(sql, run, items);
    await failpoint("gc.beforeCommit");
    return items;
  });
}

/**
 * Of the manifests `locked`, to which nothing new can lead: those that nothing leads to. What is not locked may be alive
 * and counts so, with all that it keeps.
 */
async function findUnkept(sql: Sql, repositoryId: unknown, locked: readonly Digest[]): Promise<Set<Digest>> {
  const rows = await sql.query<{ digest: Digest }>(
    "gc-unkept-manifests",
    `with recursive kept as (
       select m.repository_id, m.digest from manifests m
       where m.repository_id = $1 and m.digest = any($2::text[]) and (
         ${isPinned("m")}
         or exists (select from tags t where t.repository_id = $1 and t.manifest_digest = m.digest)
         or exists (select from manifest_children c
              where c.repository_id = $1 and c.child_digest = m.digest and c.manifest_digest <> all($2))
         or exists (select from manifests s
              where s.repository_id = $1 and s.digest = m.subject_digest and s.digest <> all($2)))
       union
       select kept.repository_id, e.digest from kept cross join lateral ${keptBy("kept")} e (digest)
     )
     select d.digest from unnest($2::text[]) d (digest) where d.digest not in (select digest from kept)`,
    [repositoryId, locked],
  );
  return new Set(rows.map(({ digest }) => digest));
}

/** `doomed` of one repository. Returns what was deleted. */
export function deleteLinks(
  { session, failpoint }: DeletionParts,
  { run, graceSeconds }: Search,
  doomed: readonly DoomedRow[],
): Promise<DoomedRow[]> {
  return session.transaction(async (sql) => {
    const repositoryId = doomed[0]?.repositoryId;
    const rows = await sql.query<{ digest: Digest }>(
      "gc-lock-links",
      `select digest from repository_blobs
       where repository_id = $1 and digest = any($2::text[]) and unreferenced_at <= now() - make_interval(secs => $3)
       order by digest for update skip locked`,
      [repositoryId, doomed.map(({ digest }) => digest), graceSeconds],
    );
    await failpoint("gc.afterLock");
    const gone = await sql.query<{ digest: Digest }>(
      "gc-delete-links",
      `delete from repository_blobs b
       where b.repository_id = $1 and b.digest = any($3::text[])
         and not exists (select from manifest_blobs mb where mb.repository_id = $1 and mb.blob_digest = b.digest)
         and not ${isPinned("b")} and not ${mayBeWanted}
       returning digest`,
      [repositoryId, graceSeconds, rows.map(({ digest }) => digest)],
    );
    const going = new Set(gone.map(({ digest }) => digest));
    const items = doomed.filter(({ digest }) => going.has(digest));
    await addItems(sql, run, items);
    await failpoint("gc.beforeCommit");
    return items;
  });
}

/**
 * One candidate, whose mark is committed: looked at again under its lock, then its bytes, then its row. The bytes are out
 * of reach before the row goes and are destroyed after that is committed: a collector that lost its connection, and with it
 * the lock, puts them back. False when somebody has it, or needs it again.
 */
export async function deleteBlob(
  { session, inventory, failpoint }: DeletionParts,
  { run, graceSeconds }: Search,
  item: GcItem,
): Promise<boolean> {
  const withdrawn: WithdrawnBlob[] = [];
  const restore = async (): Promise<void> => {
    for (const bytes of withdrawn.splice(0)) await bytes.restore();
  };
  try {
    const deleted = await session.transaction(async (sql) => {
      await restore();
      if (!(await lockCandidate(sql, item.digest, graceSeconds))) return false;
      await failpoint("gc.afterRecheck");
      const bytes = await inventory.withdraw(item.digest);
      if (bytes !== undefined) withdrawn.push(bytes);
      await failpoint("gc.afterObject");
      await sql.query("gc-delete-blob", "delete from blobs where digest = $1", [item.digest]);
      await failpoint("gc.afterRow");
      await addItems(sql, run, [item]);
      await failpoint("gc.beforeCommit");
      return true;
    });
    for (const bytes of withdrawn) await bytes.discard();
    return deleted;
  } catch (error) {
    await restore();
    throw error;
  }
}

/** In two statements: whoever attached it before the lock was ours has committed, and the second one sees it. */
async function lockCandidate(sql: Sql, digest: Digest, graceSeconds: number): Promise<boolean> {
  const locked = await sql.query(
    "gc-lock-blob",
    `select 1 from blobs where digest = $1 and unreferenced_at <= now() - make_interval(secs => $2)
     for update skip locked`,
    [digest, graceSeconds],
  );
  if (locked.length === 0) return false;
  const links = await sql.query("gc-blob-links", "select 1 from repository_blobs where digest = $1 limit 1", [digest]);
  return links.length === 0;
}
