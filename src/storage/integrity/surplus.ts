import type { StoredBlob } from "../blob-inventory.ts";
import type { Sql } from "../database.ts";
import { findOrphans } from "../gc/marks.ts";
import { inGroups } from "../in-groups.ts";
import { listAdopted } from "./blob-rows-to-check.ts";
import type { FsckOptions } from "./fsck.ts";

const rowsAtOnce = 500;

/**
 * Bytes that no repository has and, other than what the collector has found by its marks, none ever had as far as this
 * database knows: they have no row, or got one from the collector. A row follows its bytes within one request, so only
 * what has none for an hour has none for good.
 */
export async function findSurplus(
  sql: Sql,
  { inventory, inspector, signal }: Pick<FsckOptions, "inventory" | "inspector" | "signal">,
): Promise<StoredBlob[]> {
  const found: StoredBlob[] = [];
  for await (const some of inGroups(inventory.list(), rowsAtOnce)) {
    signal?.throwIfAborted();
    for (const orphan of await findOrphans(sql, some)) {
      // In this order: what is old and has no row now will have none.
      if (await inspector.isSettled(orphan.digest)) found.push(...(await findOrphans(sql, [orphan])));
    }
  }
  for (let after = ""; ; ) {
    const adopted = await listAdopted(sql, { after, limit: rowsAtOnce });
    found.push(...adopted);
    const last = adopted.at(-1);
    if (last === undefined) return found;
    after = last.digest;
  }
}
