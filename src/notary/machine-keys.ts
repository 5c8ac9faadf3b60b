import type { Sql } from "../storage/database.ts";

/** What DER puts before the 32 bytes of an Ed25519 key, RFC 8410. */
const ED25519 = `'\\x302a300506032b6570032100'::bytea`;

/**
 * Which of the keys this server holds, for whomever: what they sign, or could let sign, is the server's word.
 * (owners of the rows: server-keys-store.ts, org-signers-store.ts; this only reads)
 * @param spkis hex SHA-256 each, as `spkiOf` in tuf/key.ts says it
 */
export async function findMachineKeys(sql: Sql, spkis: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await sql.query<{ spki: string }>(
    "machine-keys",
    `select encode(s, 'hex') as spki from unnest($1::bytea[]) as s
     where exists (select from org_signers o where sha256(o.public_key) = s)
       or exists (select from trust_keys k where k.algorithm = 'ecdsa' and sha256(k.public_key) = s)
       or exists (select from trust_keys k where k.algorithm = 'ed25519' and sha256(${ED25519} || k.public_key) = s)`,
    [spkis.map((spki) => Buffer.from(spki, "hex"))],
  );
  return new Set(rows.map(({ spki }) => spki));
}
