import type { RepositoryName } from "../oci/repository-name.ts";
import type { Database, Row, Sql } from "../storage/database.ts";

export const signatureKinds = ["signed", "re-signed", "revoked", "deleted", "allowed", "refused"] as const;
/** `deleted`: with all trust data of the repository. `allowed`, `refused`: since then, by a policy. */
export type SignatureKind = (typeof signatureKinds)[number];

export interface NewSignature {
  readonly kind: SignatureKind;
  /** Empty: all of them. */
  readonly tag: string;
  readonly role: string;
  /** `sha256:…` of what was signed, or is no longer; empty where there is none. */
  readonly digest: string;
  /** What a re-signed tag was before; else empty. */
  readonly previous: string;
  /** Of the role's file. */
  readonly version: number;
  /** Canonical, of the keys that signed it. */
  readonly keyIds: readonly string[];
  /** Of the same keys. */
  readonly spkis: readonly string[];
  /** Whose verdict turned; of other kinds undefined. */
  readonly policy?: string | undefined;
}

export interface Signature extends NewSignature {
  readonly id: string;
  readonly at: Date;
}

export interface SignaturesQuery {
  readonly repositoryId: number;
  /** Undefined: of all tags. */
  readonly tag: string | undefined;
  /** Only those before this one. */
  readonly before: bigint;
  readonly limit: number;
}

const COLUMNS = "s.id, s.at, s.kind, s.tag, s.role, s.digest, s.previous, s.version, s.key_ids, s.spkis, s.policy";

/** Rows of `trust_signatures`. */
export class SignaturesStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Newest first. */
  async list({ repositoryId, tag, before, limit }: SignaturesQuery): Promise<Signature[]> {
    const ofTag = tag === undefined ? "" : "and s.tag = $4";
    const rows = await this.#database.query(
      `trust-signatures${tag === undefined ? "" : "-of-tag"}`,
      `select ${COLUMNS} from trust_signatures s where s.repository_id = $1 and s.id < $2::bigint ${ofTag}
       order by s.id desc limit $3`,
      [repositoryId, before.toString(), limit, ...(tag === undefined ? [] : [tag])],
    );
    return rows.map(toSignature);
  }

  /** Of one image in all repositories, newest first. */
  async listOfDigest(digest: string, limit: number): Promise<(Signature & { readonly repository: RepositoryName })[]> {
    const rows = await this.#database.query(
      "trust-signatures-of-digest",
      `select ${COLUMNS}, r.name as repository from trust_signatures s join repositories r on r.id = s.repository_id
       where s.digest = $1 order by s.id desc limit $2`,
      [digest, limit],
    );
    return rows.map((row) => ({ ...toSignature(row), repository: row.repository }));
  }

  /** By tag, when it was last signed for the digest it has in the role. */
  async findTimes(repositoryId: number, tags: readonly SignedTag[]): Promise<ReadonlyMap<string, Date>> {
    const rows = await this.#database.query<{ tag: string; at: Date }>(
      "trust-signature-times",
      `select k.tag, s.at from unnest($2::text[], $3::text[], $4::text[]) as k (tag, role, digest)
       cross join lateral (
         select at from trust_signatures s
         where s.repository_id = $1 and s.tag = k.tag and s.role = k.role and s.digest = k.digest
           and s.kind in ('signed', 're-signed')
         order by s.id desc limit 1) s`,
      [repositoryId, tags.map(({ tag }) => tag), tags.map(({ role }) => role), tags.map(({ digest }) => digest)],
    );
    return new Map(rows.map(({ tag, at }) => [tag, at]));
  }
}

export interface SignedTag {
  readonly tag: string;
  readonly role: string;
  readonly digest: string;
}

export interface SignedAt {
  readonly repositoryId: number;
  readonly at: Date;
  readonly signatures: readonly NewSignature[];
}

/** In the transaction of the publish, in the order of `signatures`. */
export async function insertSignatures(sql: Sql, { repositoryId, at, signatures }: SignedAt): Promise<void> {
  if (signatures.length === 0) return;
  await sql.query(
    "trust-signatures-insert",
    `insert into trust_signatures (repository_id, at, kind, tag, role, digest, previous, version, key_ids, spkis,
       policy)
     select $1, $2, s.kind, s.tag, s.role, s.digest, s.previous, s.version,
       array(select jsonb_array_elements_text(s.key_ids)), array(select jsonb_array_elements_text(s.spkis)), s.policy
     from jsonb_to_recordset($3::jsonb) as s (place int, kind text, tag text, role text, digest text, previous text,
       version bigint, key_ids jsonb, spkis jsonb, policy text)
     order by s.place`,
    [repositoryId, at, JSON.stringify(signatures.map(toRow))],
  );
}

/** A policy allows, or refuses, from now on what the tag names. */
export interface TurnedTag {
  readonly repositoryId: number;
  readonly at: Date;
  readonly kind: "allowed" | "refused";
  readonly tag: string;
  readonly digest: string;
  readonly policy: string;
}

/** In the transaction that keeps the verdict. */
export async function insertTurn(sql: Sql, { repositoryId, at, ...turn }: TurnedTag): Promise<void> {
  const signature: NewSignature = { ...turn, role: "", previous: "", version: 0, keyIds: [], spkis: [] };
  await insertSignatures(sql, { repositoryId, at, signatures: [signature] });
}

function toRow({ keyIds, ...rest }: NewSignature, place: number) {
  return { ...rest, place, key_ids: keyIds };
}

function toSignature({ id, at, version, key_ids: keyIds, ...row }: Row): Signature {
  return {
    ...{ id, at, keyIds, version: Number(version), kind: row.kind, tag: row.tag, role: row.role },
    ...{ digest: row.digest, previous: row.previous, spkis: row.spkis, policy: row.policy ?? undefined },
  };
}
