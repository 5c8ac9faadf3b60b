import type { KeyRing } from "../keys/key-ring.ts";
import { newSigningKey, openSigningKey, type SignMessage } from "../keys/signing-key.ts";
import { OciError } from "../oci/error.ts";
import type { Database, Row, Sql } from "../storage/database.ts";
import { type Key, makeKey } from "./tuf/key.ts";
import type { RoleName } from "./tuf/names.ts";

/** What the server signs tags for: as part of a push, and of a promotion. */
export const SIGNER_PURPOSES = ["auto", "promote"] as const;
export type SignerPurpose = (typeof SIGNER_PURPOSES)[number];

/** A key of the server for one organization or user; the owners of its GUNs delegate to it, or do not. */
export interface OrgSigner {
  readonly purpose: SignerPurpose;
  /** The delegation that the key signs: `targets/goldseal-auto`, `targets/goldseal-promote`. */
  readonly role: RoleName;
  readonly key: Key;
}

export interface OpenSigner extends OrgSigner {
  readonly sign: SignMessage;
}

interface SignerRow extends Row {
  org: string;
  purpose: SignerPurpose;
  key_id: string;
  public_key: Buffer;
  sealed_by: string;
  sealed: Buffer;
}

/** `docker trust signer add` reads ECDSA and RSA. */
const algorithm = "ecdsa";

/** Rows of `org_signers`: keys made on first need; private halves sealed by the key ring, opened only to sign. */
export class OrgSignersStore {
  readonly #database: Database;
  readonly #ring: KeyRing;

  constructor(database: Database, ring: KeyRing) {
    this.#database = database;
    this.#ring = ring;
  }

  /** One for each purpose. @throws OciError NAME_UNKNOWN where there is no such organization or user */
  list(org: string, now: Date): Promise<OrgSigner[]> {
    return Promise.all(
      SIGNER_PURPOSES.map(async (purpose) => toSigner(await this.#get(this.#database, org, purpose, now))),
    );
  }

  /**
   * The key, able to sign.
   * @param sql the transaction that stores what is signed
   * @throws OciError NAME_UNKNOWN
   */
  async open(sql: Sql, org: string, purpose: SignerPurpose, now: Date): Promise<OpenSigner> {
    const row = await this.#get(sql, org, purpose, now);
    const privateBytes = this.#ring.open(sealPurpose(row), { keyId: row.sealed_by, sealed: row.sealed });
    return { ...toSigner(row), sign: openSigningKey(algorithm, privateBytes) };
  }

  /** Which of `spkis` (hex SHA-256) are such keys. */
  async among(spkis: readonly string[]): Promise<string[]> {
    const rows = await this.#database.query<{ spki: string }>(
      "org-signers-among",
      `select k.spki from unnest($1::text[]) as k (spki)
       where exists (select from org_signers o where sha256(o.public_key) = decode(k.spki, 'hex'))`,
      [spkis],
    );
    return rows.map(({ spki }) => spki);
  }

  /** Seals every private half with the key that seals now; returns how many were not. */
  async reseal(): Promise<number> {
    const rows = await this.#database.query<SignerRow>(
      "org-signers-sealed",
      "select org, purpose, key_id, sealed_by, sealed from org_signers where sealed_by <> $1",
      [this.#ring.sealingId],
    );
    for (const row of rows) {
      const next = this.#ring.reseal(sealPurpose(row), { keyId: row.sealed_by, sealed: row.sealed });
      const text = `update org_signers set sealed_by = $4, sealed = $5
        where org = $1 and purpose = $2 and key_id = $3 and sealed_by = $6`;
      const values = [row.org, row.purpose, row.key_id, next?.keyId, next?.sealed, row.sealed_by];
      await this.#database.query("org-signer-reseal", text, values);
    }
    return rows.length;
  }

  async #get(sql: Sql, org: string, purpose: SignerPurpose, now: Date): Promise<SignerRow> {
    const found = await findRow(sql, org, purpose);
    if (found !== undefined) return found;
    await this.#make(sql, org, purpose, now);
    // Another one may have been first: theirs is the key then.
    const made = await findRow(sql, org, purpose);
    if (made === undefined) throw new OciError("NAME_UNKNOWN");
    return made;
  }

  async #make(sql: Sql, org: string, purpose: SignerPurpose, now: Date): Promise<void> {
    const { publicBytes, privateBytes } = newSigningKey(algorithm);
    const row = { org, purpose, key_id: makeKey(algorithm, publicBytes).id };
    const { keyId, sealed } = this.#ring.seal(sealPurpose(row), privateBytes);
    const text = `insert into org_signers (org, purpose, key_id, public_key, sealed_by, sealed, created_at)
      select name, $2, $3, $4, $5, $6, $7 from namespaces where name = $1 for key share on conflict do nothing`;
    await sql.query("org-signer-make", text, [org, purpose, row.key_id, publicBytes, keyId, sealed, now]);
  }
}

async function findRow(sql: Sql, org: string, purpose: SignerPurpose): Promise<SignerRow | undefined> {
  const [row] = await sql.query<SignerRow>(
    "org-signer",
    "select org, purpose, key_id, public_key, sealed_by, sealed from org_signers where org = $1 and purpose = $2",
    [org, purpose],
  );
  return row;
}

export function serverRoleOf(purpose: SignerPurpose): RoleName {
  return `targets/goldseal-${purpose}` as RoleName;
}

function toSigner({ purpose, public_key }: SignerRow): OrgSigner {
  return { purpose, role: serverRoleOf(purpose), key: makeKey(algorithm, public_key) };
}

/** Sealed in: a row that is put in the place of another one does not open. */
function sealPurpose({ org, purpose, key_id }: Pick<SignerRow, "org" | "purpose" | "key_id">): string {
  return `org-signer ${org} ${purpose} ${key_id}`;
}
