import { LRUCache } from "lru-cache";
import type { KeyRing } from "../keys/key-ring.ts";
import { newSigningKey, openSigningKey, type SigningAlgorithm, type SignMessage } from "../keys/signing-key.ts";
import type { Database, Row, Sql } from "../storage/database.ts";
import { type Key, makeKey } from "./tuf/key.ts";
import type { Gun, KeyId, ServerRole } from "./tuf/names.ts";
import type { Sign } from "./tuf/produce.ts";

/** A key is opened again and again by whoever publishes often; opened, it is no better hidden than the ring is. */
const maxOpened = 1_000;

export interface ServerKeyRow {
  readonly gun: Gun;
  readonly role: ServerRole;
  readonly keyId: KeyId;
  readonly algorithm: SigningAlgorithm;
  readonly createdAt: Date;
  /** Undefined: pending, it never signed. */
  readonly firstUsedAt: Date | undefined;
}

/** The keys of one GUN, able to sign until the transaction that read them ends. */
export interface HeldKeys {
  readonly serverKeys: Readonly<Record<ServerRole, ReadonlySet<KeyId>>>;
  readonly sign: Sign;
  /** Keys that have signed since they were read and never before. */
  readonly firstUsed: readonly { readonly role: ServerRole; readonly keyId: KeyId }[];
}

interface SealedRow extends Row {
  role: ServerRole;
  key_id: KeyId;
  algorithm: SigningAlgorithm;
  public_key: Buffer;
  sealed_by: string;
  sealed: Buffer;
  first_used_at: Date | null;
}

/** Rows of `trust_keys`: the private halves are sealed by the key ring, and opened only to sign. */
export class ServerKeysStore {
  readonly #database: Database;
  readonly #ring: KeyRing;
  readonly #algorithm: SigningAlgorithm;
  /** By all that went into opening them: a row that changes is opened anew. */
  readonly #opened = new LRUCache<string, SignMessage>({ max: maxOpened });

  constructor(database: Database, ring: KeyRing, algorithm: SigningAlgorithm) {
    this.#database = database;
    this.#ring = ring;
    this.#algorithm = algorithm;
  }

  /** The keys of this GUN and role, oldest first. */
  async list(gun: Gun, role: ServerRole): Promise<Key[]> {
    const rows = await this.#database.query<SealedRow>(
      "trust-keys-of-role",
      "select algorithm, public_key from trust_keys where gun = $1 and role = $2 order by created_at, key_id",
      [gun, role],
    );
    return rows.map(toKey);
  }

  /** The key that has never signed: there is one at most, made here where there is none. */
  async pending(sql: Sql, gun: Gun, role: ServerRole, now: Date): Promise<Key> {
    const found = await findPending(sql, gun, role);
    if (found !== undefined) return found;
    const made = newSigningKey(this.#algorithm);
    const { id: keyId } = makeKey(made.algorithm, made.publicBytes);
    const { keyId: sealedBy, sealed } = this.#ring.seal(purposeOf(gun, role, keyId), made.privateBytes);
    await sql.query(
      "trust-key-insert",
      `insert into trust_keys (gun, role, key_id, algorithm, public_key, sealed_by, sealed, created_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
      [gun, role, keyId, made.algorithm, made.publicBytes, sealedBy, sealed, now],
    );
    // Another one may have been first: theirs is the pending key then.
    return (await findPending(sql, gun, role)) ?? this.pending(sql, gun, role, now);
  }

  /** In the order of their names, after the one that `after` names (`<gun> <role> <key id>`). */
  async page(after: string, limit: number): Promise<ServerKeyRow[]> {
    const [gun = "", role = "", keyId = ""] = after.split(" ");
    const rows = await this.#database.query(
      "trust-keys-page",
      `select gun, role, key_id, algorithm, created_at, first_used_at from trust_keys
       where (gun, role, key_id) > ($1, $2, $3) order by gun, role, key_id limit $4`,
      [gun, role, keyId, limit],
    );
    return rows.map(({ key_id: keyId, created_at: createdAt, first_used_at: firstUsedAt, ...row }) => ({
      ...{ gun: row.gun, role: row.role, algorithm: row.algorithm },
      ...{ keyId, createdAt, firstUsedAt: firstUsedAt ?? undefined },
    }));
  }

  /** GUN and role of every key that has signed, and has no successor waiting. */
  listWithoutPending(): Promise<{ gun: Gun; role: ServerRole }[]> {
    return this.#database.query(
      "trust-keys-without-pending",
      "select gun, role from trust_keys group by gun, role having count(*) = count(first_used_at) order by gun, role",
    );
  }

  /** Which of `spkis` (hex SHA-256) are such keys. */
  async among(spkis: readonly string[]): Promise<string[]> {
    const rows = await this.#database.query<{ spki: string }>(
      "trust-keys-among",
      `select k.spki from unnest($1::text[]) as k (spki)
       where exists (select from trust_keys t where t.algorithm = 'ecdsa' and sha256(t.public_key) = decode(k.spki, 'hex'))
         or exists (select from trust_keys t where t.algorithm = 'ed25519'
           and sha256('\\x302a300506032b6570032100'::bytea || t.public_key) = decode(k.spki, 'hex'))`,
      [spkis],
    );
    return rows.map(({ spki }) => spki);
  }

  /** Seals every private half with the key that seals now; returns how many were not. */
  async reseal(): Promise<number> {
    let count = 0;
    for (;;) {
      const rows = await this.#database.query<SealedRow & { gun: Gun }>(
        "trust-keys-sealed",
        "select gun, role, key_id, sealed_by, sealed from trust_keys where sealed_by <> $1 limit 500",
        [this.#ring.sealingId],
      );
      if (rows.length === 0) return count;
      for (const row of rows) await this.#resealOne(row);
      count += rows.length;
    }
  }

  async #resealOne({ gun, role, key_id: keyId, sealed_by: sealedBy, sealed }: SealedRow & { gun: Gun }): Promise<void> {
    const next = this.#ring.reseal(purposeOf(gun, role, keyId), { keyId: sealedBy, sealed });
    const text = `update trust_keys set sealed_by = $4, sealed = $5
      where gun = $1 and role = $2 and key_id = $3 and sealed_by = $6`;
    await this.#database.query("trust-key-reseal", text, [gun, role, keyId, next?.keyId, next?.sealed, sealedBy]);
  }

  /** Every key of the GUN, with what it takes to sign; `sql` is the transaction that stores what is signed. */
  async hold(sql: Sql, gun: Gun): Promise<HeldKeys> {
    const rows = await sql.query<SealedRow>(
      "trust-keys-hold",
      "select role, key_id, algorithm, sealed_by, sealed, first_used_at from trust_keys where gun = $1",
      [gun],
    );
    const firstUsed: { role: ServerRole; keyId: KeyId }[] = [];
    const idsOf = (role: ServerRole) => new Set(rows.filter((row) => row.role === role).map(({ key_id }) => key_id));
    const sign: Sign = (role, keyId, message) => {
      const row = rows.find((one) => one.role === role && one.key_id === keyId);
      if (row === undefined) throw new Error(`no ${role} key ${keyId} is held for ${gun}`);
      if (row.first_used_at === null) firstUsed.push({ role, keyId });
      return this.#open(purposeOf(gun, role, keyId), row)(message);
    };
    return { serverKeys: { snapshot: idsOf("snapshot"), timestamp: idsOf("timestamp") }, sign, firstUsed };
  }

  #open(purpose: string, { algorithm, sealed_by: keyId, sealed }: SealedRow): SignMessage {
    const name = `${purpose} ${algorithm} ${keyId} ${sealed.toString("base64")}`;
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const made = openSigningKey(algorithm, this.#ring.open(purpose, { keyId, sealed }));
    this.#opened.set(name, made);
    return made;
  }
}

async function findPending(sql: Sql, gun: Gun, role: ServerRole): Promise<Key | undefined> {
  const [row] = await sql.query<SealedRow>(
    "trust-key-pending",
    "select algorithm, public_key from trust_keys where gun = $1 and role = $2 and first_used_at is null",
    [gun, role],
  );
  return row && toKey(row);
}

/** From now on these keys are in use: the next rotation makes others. */
export async function markUsed(sql: Sql, gun: Gun, { firstUsed }: HeldKeys, now: Date): Promise<void> {
  if (firstUsed.length === 0) return;
  await sql.query(
    "trust-keys-used",
    `update trust_keys t set first_used_at = $2 from unnest($3::text[], $4::text[]) as u (role, key_id)
     where t.gun = $1 and t.role = u.role and t.key_id = u.key_id and t.first_used_at is null`,
    [gun, now, firstUsed.map(({ role }) => role), firstUsed.map(({ keyId }) => keyId)],
  );
}

function toKey({ algorithm, public_key }: Pick<SealedRow, "algorithm" | "public_key">): Key {
  return makeKey(algorithm, public_key);
}

/** Sealed in: a row that is put in the place of another one does not open. */
function purposeOf(gun: Gun, role: ServerRole, keyId: KeyId): string {
  return `trust-key ${gun} ${role} ${keyId}`;
}
