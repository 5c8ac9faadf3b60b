import { type Key, makeKey } from "../notary/tuf/key.ts";
import type { Sql } from "../storage/database.ts";

/** The keys that a user signs with: proved, and not removed. (owner of the rows: user-keys-store.ts; this only reads) */
export async function findKeysOfUser(sql: Sql, userId: number): Promise<Key[]> {
  const rows = await sql.query<{ algorithm: string; public_key: Buffer }>(
    "keys-of-user",
    `select k.algorithm, k.public_key from user_keys k
     where k.user_id = $1 and k.proved_at is not null and k.removed_at is null order by k.proved_at, k.spki_sha256`,
    [userId],
  );
  return rows.map(({ algorithm, public_key }) => makeKey(algorithm, public_key));
}
