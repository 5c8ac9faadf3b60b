import type { KeyRing } from "../keys/key-ring.ts";
import { newSigningKey, openSigningKey, type SignMessage, signInDer } from "../keys/signing-key.ts";
import type { Database, Row, Sql } from "../storage/database.ts";
import { type Key, makeKey, spkiOf } from "./tuf/key.ts";
import type { Root } from "./tuf/metadata.ts";
import type { Gun } from "./tuf/names.ts";
import type { Certifier } from "./tuf/root-certificate.ts";

/** The roles that belong to people, unless the server founded the GUN. */
export const FOUNDING_ROLES = ["root", "targets"] as const;
export type FoundingRole = (typeof FOUNDING_ROLES)[number];

/** Able to sign, until the transaction that read it ends. */
export interface FoundingKey extends Certifier {
  /** Bare: in a root it stands in a certificate. */
  readonly key: Key;
  readonly sign: SignMessage;
}

/** Root and targets of a GUN that this server founded. */
export type FoundingKeys = Readonly<Record<FoundingRole, FoundingKey>>;

interface FoundingRow extends Row {
  gun: string;
  role: FoundingRole;
  key_id: string;
  public_key: Buffer;
  sealed_by: string;
  sealed: Buffer;
}

/** The only kind that docker makes roots with. */
const algorithm = "ecdsa";

/** Rows of `trust_founding_keys`. */
export class FoundingKeysStore {
  readonly #database: Database;
  readonly #ring: KeyRing;

  constructor(database: Database, ring: KeyRing) {
    this.#database = database;
    this.#ring = ring;
  }

  /**
   * Undefined where the server did not found the GUN, or people took it over.
   * @param sql the transaction that stores what is signed
   */
  async find(sql: Sql, gun: Gun): Promise<FoundingKeys | undefined> {
    const rows = await sql.query<FoundingRow>(
      "trust-founding-keys",
      `select gun, role, key_id, public_key, sealed_by, sealed from trust_founding_keys
       where gun = $1 and dropped_at is null`,
      [gun],
    );
    const [root, targets] = FOUNDING_ROLES.map((role) => rows.find((row) => row.role === role));
    return root && targets && { root: this.#open(root), targets: this.#open(targets) };
  }

  /** Under the lock of the GUN, which has no such keys yet. */
  async make(sql: Sql, gun: Gun, now: Date): Promise<FoundingKeys> {
    for (const role of FOUNDING_ROLES) {
      const { publicBytes, privateBytes } = newSigningKey(algorithm);
      const row = { gun, role, key_id: makeKey(algorithm, publicBytes).id };
      const { keyId, sealed } = this.#ring.seal(sealPurpose(row), privateBytes);
      await sql.query(
        "trust-founding-key-insert",
        `insert into trust_founding_keys (gun, role, key_id, public_key, sealed_by, sealed, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)`,
        [gun, role, row.key_id, publicBytes, keyId, sealed, now],
      );
    }
    const made = await this.find(sql, gun);
    if (made === undefined) throw new Error(`the keys of ${gun} are neither there nor can they be made`);
    return made;
  }

  /** The private halves go, for ever. */
  async drop(sql: Sql, gun: Gun, now: Date): Promise<void> {
    const text = `update trust_founding_keys set sealed_by = null, sealed = null, dropped_at = $2
      where gun = $1 and dropped_at is null`;
    await sql.query("trust-founding-keys-drop", text, [gun, now]);
  }

  /** GUNs that this server founded, after `after` in ASCII order. */
  async page(after: string, limit: number): Promise<Gun[]> {
    const rows = await this.#database.query<{ gun: Gun }>(
      "trust-founded-guns",
      `select gun from trust_founding_keys where role = 'root' and dropped_at is null and gun > $1 order by gun limit $2`,
      [after, limit],
    );
    return rows.map(({ gun }) => gun);
  }

  /** Which of `spkis` (hex SHA-256) are such keys, or were: what hangs on them is attested by a server, whoever signed it. */
  async among(spkis: readonly string[]): Promise<string[]> {
    const rows = await this.#database.query<{ spki: string }>(
      "trust-founding-keys-among",
      `select k.spki from unnest($1::text[]) as k (spki)
       where exists (select from trust_founding_keys f where sha256(f.public_key) = decode(k.spki, 'hex'))`,
      [spkis],
    );
    return rows.map(({ spki }) => spki);
  }

  /** Seals every private half with the key that seals now; returns how many were not. */
  async reseal(): Promise<number> {
    const rows = await this.#database.query<FoundingRow>(
      "trust-founding-keys-sealed",
      "select gun, role, key_id, public_key, sealed_by, sealed from trust_founding_keys where sealed_by <> $1",
      [this.#ring.sealingId],
    );
    for (const row of rows) {
      const next = this.#ring.reseal(sealPurpose(row), { keyId: row.sealed_by, sealed: row.sealed });
      const text = `update trust_founding_keys set sealed_by = $4, sealed = $5
        where gun = $1 and role = $2 and key_id = $3 and sealed_by = $6`;
      const values = [row.gun, row.role, row.key_id, next?.keyId, next?.sealed, row.sealed_by];
      await this.#database.query("trust-founding-key-reseal", text, values);
    }
    return rows.length;
  }

  #open(row: FoundingRow): FoundingKey {
    const privateBytes = this.#ring.open(sealPurpose(row), { keyId: row.sealed_by, sealed: row.sealed });
    return {
      key: makeKey(algorithm, row.public_key),
      sign: openSigningKey(algorithm, privateBytes),
      signCertificate: (toBeSigned) => signInDer(privateBytes, toBeSigned),
    };
  }
}

/** Whether the root is of the server's making, and nobody's else. */
export function holdsRoot({ root: own }: FoundingKeys, { keys, roles: { root } }: Root): boolean {
  const spki = spkiOf(own.key);
  return root.keyIds.some((id) => {
    const key = keys.get(id);
    return key !== undefined && spkiOf(key) === spki;
  });
}

/** Sealed in: a row that is put in the place of another one does not open. */
function sealPurpose({ gun, role, key_id }: Pick<FoundingRow, "gun" | "role" | "key_id">): string {
  return `founding-key ${gun} ${role} ${key_id}`;
}
