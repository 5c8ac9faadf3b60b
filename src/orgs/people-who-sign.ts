import { type Key, makeKey } from "../notary/tuf/key.ts";
import type { Row, Sql } from "../storage/database.ts";

/** Whose signatures a rule may ask for. */
export interface WhoMaySign {
  /** Everybody of this organization, or the user of this name. */
  readonly org: string;
  /** And who is in one of these teams, of whatever organization: `qa/testers`. */
  readonly teams: readonly string[];
}

/** A key that somebody added, with the person as they are now. */
export interface KeyOfPerson {
  /** Hex SHA-256 of the key's DER SubjectPublicKeyInfo. */
  readonly spki: string;
  /** The bare key. */
  readonly key: Key;
  readonly user: string;
  /** A claim without a proof binds nobody: several people may have made it. */
  readonly proved: boolean;
  readonly removed: boolean;
  /** Undefined: it is not. */
  readonly removedAt: Date | undefined;
  readonly suspended: boolean;
  /** As a rule may call them: `acme/qa`, and only those that were asked about. */
  readonly teams: readonly string[];
}

/**
 * Every key of everybody who was asked about, removed and unproved ones too, in the order of users and keys: one query for
 * all. (owners of the rows: user-keys-store.ts, users-store.ts, orgs-store.ts, teams-store.ts; this only reads)
 */
export async function findPeopleWhoSign(sql: Sql, { org, teams }: WhoMaySign): Promise<KeyOfPerson[]> {
  const rows = await sql.query(
    "people-who-sign",
    `with asked as (select t.id, t.org || '/' || t.name as name from teams t
       where t.org = $1 or t.org || '/' || t.name = any($2::text[]))
     select encode(k.spki_sha256, 'hex') as spki, k.algorithm, k.public_key, u.name, u.suspended,
       k.proved_at is not null as proved, k.removed_at,
       array(select a.name from team_members tm join asked a on a.id = tm.team_id where tm.user_id = u.id
         order by a.name) as teams
     from users u join user_keys k on k.user_id = u.id
     where u.name = $1 or exists (select from org_members m where m.org = $1 and m.user_id = u.id)
       or exists (select from team_members tm join asked a on a.id = tm.team_id where tm.user_id = u.id)
     order by u.name, k.spki_sha256`,
    [org, teams],
  );
  return rows.map(toKeyOfPerson);
}

function toKeyOfPerson({ spki, algorithm, public_key: publicKey, name, suspended, proved, teams, ...row }: Row) {
  const removedAt: Date | undefined = row.removed_at ?? undefined;
  const removed = removedAt !== undefined;
  return { spki, key: makeKey(algorithm, publicKey), user: name, suspended, proved, removed, removedAt, teams };
}
