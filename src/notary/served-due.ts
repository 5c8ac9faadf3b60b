import type { Sql } from "../storage/database.ts";
import type { LockedCollection } from "./metadata-store.ts";
import type { Gun } from "./tuf/names.ts";

/** What the server has to sign anew by itself soon. (owner of the rows: metadata-store.ts; this only reads) */

/** GUNs after `after`, in the order of their ids, in which a file of the server's own roles ends before. */
export function listServedEnding(
  sql: Sql,
  before: Date,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<LockedCollection[]> {
  return sql.query(
    "trust-served-ending",
    `select c.id, c.gun from trust_collections c where c.id in (
       select u.collection_id from trust_current u
       where u.role in ('targets/goldseal-auto', 'targets/goldseal-promote') and u.expires_at < $1
         and u.collection_id > $2::bigint)
     order by c.id limit $3`,
    [before, after, limit],
  );
}

/** Those of `guns` whose root, targets or any delegation ends before. */
export async function listEnding(
  sql: Sql,
  guns: readonly Gun[],
  before: { readonly root: Date; readonly targets: Date },
): Promise<Gun[]> {
  const rows = await sql.query<{ gun: Gun }>(
    "trust-ending",
    `select c.gun from trust_collections c where c.gun = any($1::text[]) and exists (
       select from trust_current u where u.collection_id = c.id
         and (u.role = 'root' and u.expires_at < $2 or u.role like 'targets%' and u.expires_at < $3))
     order by c.gun`,
    [guns, before.root, before.targets],
  );
  return rows.map(({ gun }) => gun);
}
