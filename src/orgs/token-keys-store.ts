import type { KeyRing } from "../keys/key-ring.ts";
import { isJsonObject, parseJson } from "../oci/json.ts";
import { BatchedLookup } from "../storage/batched-lookup.ts";
import type { Confirm, Database, Row, Sql } from "../storage/database.ts";

export interface PublicTokenKey {
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string;
  readonly publicJwk: Readonly<Record<string, unknown>>;
  readonly retiredAt: Date | undefined;
}

export interface NewTokenKey {
  readonly kid: string;
  readonly publicJwk: Readonly<Record<string, unknown>>;
  readonly privateJwk: Readonly<Record<string, unknown>>;
}

export interface SigningTokenKey {
  readonly kid: string;
  readonly privateJwk: Readonly<Record<string, unknown>>;
}

export interface KeyAdding {
  readonly onlyIfNone: boolean;
  /** Undefined at a first start, when nobody asks for it. */
  readonly confirm: Confirm | undefined;
}

const publicColumns = "kid, public_jwk, retired_at";

/** Rows of `token_keys`: one key signs, retired ones verify until the last token they signed is over. */
export class TokenKeysStore {
  readonly #database: Database;
  readonly #ring: KeyRing;
  readonly #byKid: BatchedLookup<string, PublicTokenKey>;

  constructor(database: Database, ring: KeyRing) {
    this.#database = database;
    this.#ring = ring;
    this.#byKid = new BatchedLookup((kids) => this.#loadKeys(kids));
  }

  find(kid: string): Promise<PublicTokenKey | undefined> {
    return this.#byKid.find(kid);
  }

  /** The keys that still verify: not retired, or retired after `retiredAfter`. */
  async list(retiredAfter: Date): Promise<PublicTokenKey[]> {
    const rows = await this.#database.query(
      "token-keys-list",
      `select ${publicColumns} from token_keys where retired_at is null or retired_at > $1 order by created_at, kid`,
      [retiredAfter],
    );
    return rows.map(toPublicKey);
  }

  async findSigning(): Promise<SigningTokenKey | undefined> {
    const [row] = await this.#database.query<{ kid: string; sealed_by: string; sealed: Uint8Array }>(
      "token-key-signing",
      "select kid, sealed_by, sealed from token_keys where retired_at is null order by created_at desc, kid limit 1",
    );
    if (row === undefined) return undefined;
    const opened = this.#ring.open(purposeOf(row.kid), { keyId: row.sealed_by, sealed: row.sealed });
    const privateJwk = parseJson(opened);
    if (!isJsonObject(privateJwk)) throw new Error(`token key ${row.kid} is not a JWK`);
    return { kid: row.kid, privateJwk };
  }

  /** From now on `key` signs, unless there is a signing key and `onlyIfNone`; the others retire at `now`. */
  async add(key: NewTokenKey, now: Date, { onlyIfNone, confirm }: KeyAdding): Promise<void> {
    const { keyId, sealed } = this.#ring.seal(purposeOf(key.kid), Buffer.from(JSON.stringify(key.privateJwk)));
    await this.#database.transaction(async (sql) => {
      await confirm?.(sql);
      // Several processes may start, or rotate, at once: exactly one key must sign afterwards.
      await sql.query("", "lock table token_keys in exclusive mode");
      if (onlyIfNone && (await hasSigningKey(sql))) return;
      await sql.query("", "update token_keys set retired_at = $1 where retired_at is null", [now]);
      await sql.query(
        "",
        "insert into token_keys (kid, public_jwk, sealed_by, sealed, created_at) values ($1, $2, $3, $4, $5)",
        [key.kid, JSON.stringify(key.publicJwk), keyId, sealed, now],
      );
    });
  }

  /** Seals every private half with the key that seals now; returns how many were not. */
  async reseal(): Promise<number> {
    const rows = await this.#database.query<{ kid: string; sealed_by: string; sealed: Uint8Array }>(
      "token-keys-sealed",
      "select kid, sealed_by, sealed from token_keys where sealed_by <> $1",
      [this.#ring.sealingId],
    );
    for (const { kid, sealed_by: sealedBy, sealed } of rows) {
      const next = this.#ring.reseal(purposeOf(kid), { keyId: sealedBy, sealed });
      const text = "update token_keys set sealed_by = $2, sealed = $3 where kid = $1 and sealed_by = $4";
      await this.#database.query("token-key-reseal", text, [kid, next?.keyId, next?.sealed, sealedBy]);
    }
    return rows.length;
  }

  async #loadKeys(kids: readonly string[]): Promise<(PublicTokenKey | undefined)[]> {
    const rows = await this.#database.query(
      "token-keys-find",
      `select ${publicColumns} from token_keys where kid = any ($1::text[])`,
      [kids],
    );
    const found = new Map(rows.map((row) => [row.kid, toPublicKey(row)]));
    return kids.map((kid) => found.get(kid));
  }
}

async function hasSigningKey(sql: Sql): Promise<boolean> {
  return (await sql.query("", "select 1 from token_keys where retired_at is null")).length > 0;
}

function toPublicKey(row: Row): PublicTokenKey {
  return { kid: row.kid, publicJwk: row.public_jwk, retiredAt: row.retired_at ?? undefined };
}

function purposeOf(kid: string): string {
  return `token-key/${kid}`;
}
