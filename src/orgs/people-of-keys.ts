import type { Row, Sql } from "../storage/database.ts";
import type { OrgRole } from "./access-lookup.ts";

/** Whom a key that was proved leads to, as it is now. */
export interface PersonOfKey {
  /** Hex SHA-256 of the key's DER SubjectPublicKeyInfo. */
  readonly spkiSha256: string;
  readonly userId: number;
  readonly user: string;
  /** Since when it counts. */
  readonly provedAt: Date;
  /** Undefined: it counts. */
  readonly removedAt: Date | undefined;
  /** Whoever is suspended can do nothing; what they signed before is for the rule to judge. */
  readonly suspended: boolean;
  /** In the organization that was asked about; undefined for no member, who is in none of its teams. */
  readonly role: OrgRole | undefined;
  /** Teams of the organization that the user is in, in the order of their names. */
  readonly teams: readonly string[];
}

const COLUMNS = `encode(k.spki_sha256, 'hex') as spki, u.id, u.name, k.proved_at, k.removed_at, u.suspended, m.role,
  array(select t.name from team_members tm join teams t on t.id = tm.team_id
    where tm.user_id = u.id and tm.org = $2 order by t.name) as teams`;
const JOINS = "join users u on u.id = k.user_id left join org_members m on m.org = $2 and m.user_id = u.id";

/**
 * The people behind keys, and their teams in `org`: one query for all. A key that nobody has proved, or whose owner is
 * deleted, leads to nobody; a removed one leads to its owner, with the time of its removal. Keys are asked for by SPKI, so
 * all forms of one key are one. (owners of the rows: user-keys-store.ts, users-store.ts, orgs-store.ts, teams-store.ts;
 * this only reads)
 * @param spkis hex SHA-256 each, as `spkiOf` in notary/tuf/key.ts says it
 */
export async function findPeopleOfKeys(
  sql: Sql,
  { spkis, org }: { readonly spkis: readonly string[]; readonly org: string },
): Promise<ReadonlyMap<string, PersonOfKey>> {
  const text = `select ${COLUMNS} from user_keys k ${JOINS} where k.proved_spki = any($1::bytea[])`;
  const rows = await sql.query("people-of-keys", text, [spkis.map((spki) => Buffer.from(spki, "hex")), org]);
  return new Map(rows.map((row) => [row.spki, toPerson(row)]));
}

/**
 * As {@link findPeopleOfKeys}, of one key that counts.
 * @param keyId hex: of TUF, in any form that its owner has added, or the SHA-256 of its SPKI
 */
export async function findPersonOfKeyId(
  sql: Sql,
  { keyId, org }: { readonly keyId: string; readonly org: string },
): Promise<PersonOfKey | undefined> {
  const text = `select ${COLUMNS} from user_keys k ${JOINS}
    where k.removed_at is null and k.proved_at is not null and (k.key_ids @> array[$1] or k.proved_spki = decode($1, 'hex'))`;
  const [row] = await sql.query("person-of-key-id", text, [keyId, org]);
  return row === undefined ? undefined : toPerson(row);
}

function toPerson(row: Row): PersonOfKey {
  return {
    spkiSha256: row.spki,
    userId: Number(row.id),
    user: row.name,
    provedAt: row.proved_at,
    removedAt: row.removed_at ?? undefined,
    suspended: row.suspended,
    role: row.role ?? undefined,
    teams: row.teams,
  };
}
