import { randomBytes } from "node:crypto";
import type { Page } from "../http/rest-page.ts";
import { bareKeyOf, type Key, makeKey } from "../notary/tuf/key.ts";
import { type Change, type Confirm, type Database, isViolation, type Row, type Sql } from "../storage/database.ts";
import { notFound, OrgsError } from "./errors.ts";

export interface UserKey {
  /** Hex SHA-256 of the DER SubjectPublicKeyInfo: which key it is, in whatever form it comes. */
  readonly spkiSha256: string;
  readonly name: string;
  /** The bare key. */
  readonly key: Key;
  /** TUF key ids of the forms it came in, the bare one's first. */
  readonly keyIds: readonly string[];
  readonly addedAt: Date;
  /** Undefined: unproven, it counts for nobody. */
  readonly provedAt: Date | undefined;
  readonly version: string;
}

/** A key of a user. */
export interface KeyOfUser {
  readonly userId: number;
  readonly spkiSha256: string;
}

export interface NewUserKey {
  readonly userId: number;
  readonly name: string;
  /** One that can verify. */
  readonly key: Key;
}

export interface Challenge {
  /** 32 random bytes, hex. */
  readonly challenge: string;
  readonly expiresAt: Date;
}

/** Rows of one user, those of removed keys too: they stay for ever. */
const maxKeys = 200;
/** Of one key: bare, and in so many certificates. */
const maxForms = 16;
const challengeSeconds = 300;

const columns = `name, algorithm, public_key, encode(spki_sha256, 'hex') as spki, key_ids, added_at, proved_at,
  xmin::text as version`;

/**
 * Rows of `user_keys`, `key_owners` and `user_key_challenges`. To claim a key takes nothing but its public half, so a claim
 * binds nobody: with the first proof of possession the key is its prover's for ever, whoever claimed it before.
 */
export class UserKeysStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Without those that were removed. */
  async list(userId: number, { after, limit }: Page): Promise<UserKey[]> {
    const text = `select ${columns} from user_keys where user_id = $1 and removed_at is null and name > $2
      order by name limit $3`;
    return (await this.#database.query("user-keys", text, [userId, after, limit])).map(toUserKey);
  }

  find(where: KeyOfUser): Promise<UserKey | undefined> {
    return findKey(this.#database, where);
  }

  /**
   * Unproven. One that is there already takes the name, and keeps its proof. True when it was not there.
   * @throws OrgsError key-taken, name-taken, too-many-keys
   */
  async add({ userId, name, key }: NewUserKey, now: Date, confirm: Confirm): Promise<boolean> {
    const bare = bareKeyOf(key);
    const where = { userId, spkiSha256: key.getMaterial().spkiSha256 };
    return this.#database
      .transaction(async (sql) => {
        await confirm(sql);
        await mustBeFree(sql, where);
        const before = await findKey(sql, where);
        const keyIds = [...new Set([...(before?.keyIds ?? [bare.id]), key.id])];
        if (keyIds.length > maxForms) throw tooMany(`a key is kept in ${maxForms} forms at most`);
        if (before === undefined) await insertKey(sql, where, { name, bare, keyIds, now });
        else await renameKey(sql, where, { name, keyIds });
        return before === undefined;
      })
      .catch((cause: unknown) => {
        if (!isViolation(cause, "user_keys_name")) throw cause;
        throw new OrgsError("name-taken", `another key of yours is called ${name}`, { cause });
      });
  }

  /** What the key's holder has to sign; earlier challenges of the key are void. @throws OrgsError not-found, key-taken */
  async challenge(where: KeyOfUser, now: Date, confirm: Confirm): Promise<Challenge> {
    const challenge = randomBytes(32);
    const expiresAt = new Date(now.getTime() + challengeSeconds * 1000);
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      if ((await findKey(sql, where)) === undefined) throw notFound();
      await mustBeFree(sql, where);
      await sql.query(
        "user-key-challenge",
        `insert into user_key_challenges (user_id, spki_sha256, challenge, expires_at) values ($1, $2, $3, $4)
         on conflict (user_id, spki_sha256) do update set challenge = excluded.challenge, expires_at = excluded.expires_at`,
        [...valuesOf(where), challenge, expiresAt],
      );
    });
    return { challenge: challenge.toString("hex"), expiresAt };
  }

  /**
   * From now on the key counts, and is the user's for ever. The challenge is used up by this alone.
   * @param verify whether what was sent is a signature by this key over this challenge
   * @throws OrgsError not-found, no-challenge, bad-proof, key-taken
   */
  async prove(where: KeyOfUser, verify: (key: Key, challenge: string) => boolean, { now, confirm }: Proving) {
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      const found = await findKey(sql, where);
      if (found === undefined) throw notFound();
      const challenge = await takeChallenge(sql, where, now);
      if (challenge === undefined)
        throw new OrgsError("no-challenge", "there is no challenge that is still good; ask for one and sign that");
      if (!verify(found.key, challenge))
        throw new OrgsError("bad-proof", "this is not the key's signature over the message of its newest challenge");
      await own(sql, where, now);
      await sql.query(
        "user-key-prove",
        "update user_keys set proved_at = coalesce(proved_at, $3) where user_id = $1 and spki_sha256 = $2",
        [...valuesOf(where), now],
      );
    });
  }

  /** It counts no longer. Whoever proved it may add and prove it again, nobody else. @throws OrgsError not-found */
  async remove(where: KeyOfUser, now: Date, { check, confirm }: Change): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      const found = await findKey(sql, where);
      check(found?.version);
      if (found === undefined) throw notFound();
      const values = valuesOf(where);
      await sql.query(
        "user-key-unask",
        "delete from user_key_challenges where user_id = $1 and spki_sha256 = $2",
        values,
      );
      if (found.provedAt === undefined)
        await sql.query("user-key-drop", "delete from user_keys where user_id = $1 and spki_sha256 = $2", values);
      else
        await sql.query(
          "user-key-remove",
          "update user_keys set removed_at = $3 where user_id = $1 and spki_sha256 = $2",
          [...values, now],
        );
    });
  }
}

interface Proving {
  readonly now: Date;
  readonly confirm: Confirm;
}

function valuesOf({ userId, spkiSha256 }: KeyOfUser): readonly [number, Buffer] {
  return [userId, Buffer.from(spkiSha256, "hex")];
}

async function findKey(sql: Sql, where: KeyOfUser): Promise<UserKey | undefined> {
  const text = `select ${columns} from user_keys where user_id = $1 and spki_sha256 = $2 and removed_at is null`;
  const [row] = await sql.query("user-key", text, valuesOf(where));
  return row === undefined ? undefined : toUserKey(row);
}

/** @throws OrgsError key-taken when somebody else has proved it; whom it belongs to is nobody's business */
async function mustBeFree(sql: Sql, where: KeyOfUser): Promise<void> {
  const text = "select 1 from key_owners where spki_sha256 = $2 and user_id <> $1";
  if ((await sql.query("key-owner-other", text, valuesOf(where))).length > 0) throw keyTaken();
}

/** Of two who prove one key at the same moment, the second waits here and then sees. @throws OrgsError key-taken */
async function own(sql: Sql, where: KeyOfUser, now: Date): Promise<void> {
  const text = `insert into key_owners (user_id, spki_sha256, since) values ($1, $2, $3) on conflict (spki_sha256) do nothing`;
  await sql.query("key-own", text, [...valuesOf(where), now]);
  await mustBeFree(sql, where);
}

interface Written {
  readonly name: string;
  readonly keyIds: readonly string[];
}

/** In the place of one that was removed too; its proof is gone. */
async function insertKey(
  sql: Sql,
  where: KeyOfUser,
  { name, bare, keyIds, now }: Written & { readonly bare: Key; readonly now: Date },
): Promise<void> {
  const [count] = await sql.query<{ n: number }>(
    "user-keys-count",
    "select count(*)::int as n from user_keys where user_id = $1 and spki_sha256 <> $2",
    valuesOf(where),
  );
  if ((count?.n ?? 0) >= maxKeys) throw tooMany(`a user has ${maxKeys} keys at most, removed ones included`);
  await sql.query(
    "user-key-add",
    `insert into user_keys (user_id, spki_sha256, name, algorithm, public_key, key_ids, added_at)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (user_id, spki_sha256) do update set name = excluded.name, key_ids = excluded.key_ids,
       added_at = excluded.added_at, proved_at = null, removed_at = null`,
    [...valuesOf(where), name, bare.type, bare.publicBytes, keyIds, now],
  );
}

async function renameKey(sql: Sql, where: KeyOfUser, { name, keyIds }: Written): Promise<void> {
  const text = "update user_keys set name = $3, key_ids = $4 where user_id = $1 and spki_sha256 = $2";
  await sql.query("user-key-rename", text, [...valuesOf(where), name, keyIds]);
}

/** Hex; undefined where there is none, or none that is still good. */
async function takeChallenge(sql: Sql, where: KeyOfUser, now: Date): Promise<string | undefined> {
  const [row] = await sql.query<{ challenge: Buffer }>(
    "user-key-answer",
    `delete from user_key_challenges where user_id = $1 and spki_sha256 = $2 and expires_at > $3 returning challenge`,
    [...valuesOf(where), now],
  );
  return row?.challenge.toString("hex");
}

function toUserKey(row: Row): UserKey {
  return {
    spkiSha256: row.spki,
    name: row.name,
    key: makeKey(row.algorithm, row.public_key),
    keyIds: row.key_ids,
    addedAt: row.added_at,
    provedAt: row.proved_at ?? undefined,
    version: row.version,
  };
}

function keyTaken(): OrgsError {
  return new OrgsError(
    "key-taken",
    "somebody else has proved that this key is theirs, and a key is one person's for ever",
  );
}

function tooMany(message: string): OrgsError {
  return new OrgsError("too-many-keys", message);
}
