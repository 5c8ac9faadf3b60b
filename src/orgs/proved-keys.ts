import { type Key, makeKey } from "../notary/tuf/key.ts";
import type { Sql } from "../storage/database.ts";

/** A key of which somebody here has proved to hold the private half. */
export interface ProvedKey {
  readonly key: Key;
  readonly user: string;
  /** Neither is the key removed nor its owner suspended. */
  readonly counts: boolean;
}

export interface WhichKeys {
  /** Hex SHA-256 each: these whether they count or not, for a key stays its owner's. */
  readonly spkis: readonly string[];
  /** Of TUF, in any form that the owner has added: of these only keys that count. */
  readonly keyIds: readonly string[];
}

/** (owners of the rows: user-keys-store.ts, users-store.ts; this only reads) */
export async function findProvedKeys(sql: Sql, { spkis, keyIds }: WhichKeys): Promise<ProvedKey[]> {
  const text = `select k.algorithm, k.public_key, u.name, k.removed_at is null and not u.suspended as counts
    from user_keys k join users u on u.id = k.user_id
    where k.proved_spki = any($1::bytea[])
      or (k.key_ids && $2::text[] and k.proved_at is not null and k.removed_at is null and not u.suspended)`;
  const rows = await sql.query("proved-keys", text, [spkis.map((spki) => Buffer.from(spki, "hex")), keyIds]);
  return rows.map((row) => ({ key: makeKey(row.algorithm, row.public_key), user: row.name, counts: row.counts }));
}
