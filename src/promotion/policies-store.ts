import type { Json } from "../oci/json.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Change, Database, Row, Sql } from "../storage/database.ts";
import { ensureRepository, holdRepository, lockRepositoryId } from "../storage/repository-store.ts";
import { isSame, type Terms } from "./terms.ts";

/** What moves images on by itself, out of one repository into another. */
export interface Policy {
  readonly id: number;
  readonly name: string;
  readonly sourceId: number;
  readonly source: RepositoryName;
  readonly enabled: boolean;
  readonly terms: Terms;
  readonly setBy: string;
  readonly setAt: Date;
  /** Who agreed for the target, to just these terms; undefined: nobody, or the target is another repository by now. */
  readonly accepted: { readonly by: string; readonly at: Date; readonly targetId: number } | undefined;
  readonly version: string;
}

export interface PolicyKey {
  readonly source: RepositoryName;
  readonly name: string;
}

export interface PutPolicy extends PolicyKey, Change {
  readonly enabled: boolean;
  readonly terms: Terms;
  readonly by: string;
  readonly at: Date;
  /** Whether who sets it may agree for the target too, asked in the transaction. */
  readonly agrees: (sql: Sql) => Promise<boolean>;
}

const COLUMNS = `p.id, p.name, p.source_id, s.name as source, p.enabled, p.terms, p.set_by, p.set_at, p.accepted_by,
  p.accepted_at, t.id as target_id, p.xmin::text as version`;
/** An agreement is for the repository that the name stood for then. */
const FROM = `from promotion_policies p join repositories s on s.id = p.source_id
  left join repositories t on t.id = p.accepted_for and t.name = p.target`;

/** Rows of `promotion_policies`. */
export class PoliciesStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find({ source, name }: PolicyKey): Promise<Policy | undefined> {
    const text = `select ${COLUMNS} ${FROM} where s.name = $1 and p.name = $2`;
    return toPolicy(await this.#database.query("promotion-policy", text, [source, name]));
  }

  async list(source: RepositoryName, page: { after: string; limit: number }): Promise<Policy[]> {
    const text = `select ${COLUMNS} ${FROM} where s.name = $1 and p.name > $2 order by p.name limit $3`;
    return (await this.#database.query("promotion-policies", text, [source, page.after, page.limit])).map(fromRow);
  }

  /** Those that want to bring images into a repository; the oldest first, after `after`. */
  async listOffers(target: RepositoryName, after: number, limit: number): Promise<Policy[]> {
    const text = `select ${COLUMNS} ${FROM} where p.target = $1 and p.id > $2 order by p.id limit $3`;
    return (await this.#database.query("promotion-offers", text, [target, after, limit])).map(fromRow);
  }

  /** Those in use with a rule that is met by what a server says. */
  async listLenient(): Promise<Policy[]> {
    const text = `select ${COLUMNS} ${FROM} where p.enabled and p.terms @? '$.require[*] ? (@.class != "client-key")'
      order by s.name, p.name`;
    return (await this.#database.query("promotion-policies-lenient", text)).map(fromRow);
  }

  /** True when it was made. What was agreed to is not this any more where the terms are others. @throws OciError NAME_UNKNOWN */
  put({ source, name, enabled, terms, by, at, agrees, check, confirm }: PutPolicy): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      const sourceId = await lockRepositoryId(sql, source);
      const before = await lockPolicyOf(sql, sourceId, name);
      check(before?.version);
      const [row] = await sql.query<{ id: string }>(
        "promotion-policy-put",
        `insert into promotion_policies (source_id, name, enabled, terms, target, set_by, set_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (source_id, name) do update set enabled = excluded.enabled, terms = excluded.terms,
           target = excluded.target, set_by = excluded.set_by, set_at = excluded.set_at,
           accepted_for = case when $8 then promotion_policies.accepted_for end,
           accepted_by = case when $8 then promotion_policies.accepted_by end,
           accepted_at = case when $8 then promotion_policies.accepted_at end
         returning id`,
        [
          ...[sourceId, name, enabled, JSON.stringify(terms), terms.targetRepository, by, at],
          before !== undefined && isSame(before.terms as Json, terms as Json),
        ],
      );
      const isAgreed = before?.accepted !== undefined && isSame(before.terms as Json, terms as Json);
      if (!isAgreed && (await agrees(sql)))
        await agree(sql, { id: Number(row?.id), target: terms.targetRepository, by, at });
      return before === undefined;
    });
  }

  /** False where there is none. */
  delete({ source, name, check, confirm }: PolicyKey & Change): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      const sourceId = await lockRepositoryId(sql, source);
      const before = await lockPolicyOf(sql, sourceId, name);
      check(before?.version);
      if (before === undefined) return false;
      await sql.query("promotion-policy-delete", "delete from promotion_policies where id = $1", [before.id]);
      return true;
    });
  }

  /** For the target: to the policy as `check` knows it, or (undefined) no longer. False where there is no such offer. */
  answer(offer: {
    readonly id: number;
    readonly target: RepositoryName;
    readonly accepted: { readonly by: string; readonly at: Date } | undefined;
    readonly change: Change;
  }): Promise<boolean> {
    const { id, target, accepted, change } = offer;
    return this.#database.transaction(async (sql) => {
      await change.confirm(sql);
      const text = `select ${COLUMNS} ${FROM} where p.id = $1 and p.target = $2 for update of p`;
      const found = toPolicy(await sql.query("promotion-offer-lock", text, [id, target]));
      change.check(found?.version);
      if (found === undefined) return false;
      if (accepted !== undefined) await agree(sql, { id, target, ...accepted });
      else
        await sql.query(
          "promotion-offer-refuse",
          "update promotion_policies set accepted_for = null, accepted_by = null, accepted_at = null where id = $1",
          [id],
        );
      return true;
    });
  }
}

interface Agreement {
  readonly id: number;
  readonly target: string;
  readonly by: string;
  readonly at: Date;
}

/** Whoever agrees for what is not there yet may make it. */
async function agree(sql: Sql, { id, target, by, at }: Agreement): Promise<void> {
  const name = target as RepositoryName;
  const targetId =
    (await holdRepository(sql, name)) ??
    (await ensureRepository(sql, name, { repositoryId: undefined, mayCreate: true }));
  const text = "update promotion_policies set accepted_for = $2, accepted_by = $3, accepted_at = $4 where id = $1";
  await sql.query("promotion-policy-agree", text, [id, targetId, by, at]);
}

/** What moves images out of the repository now, in the order of their names. */
export async function listInForce(sql: Sql, sourceId: number): Promise<Policy[]> {
  const text = `select ${COLUMNS} ${FROM} where p.source_id = $1 and p.enabled and t.id is not null order by p.name`;
  return (await sql.query("promotion-policies-in-force", text, [sourceId])).map(fromRow);
}

/** It stays as it is until the commit; undefined where it is in force no longer. */
export async function holdPolicy(sql: Sql, id: number): Promise<Policy | undefined> {
  const text = `select ${COLUMNS} ${FROM} where p.id = $1 and p.enabled and t.id is not null for share of p`;
  return toPolicy(await sql.query("promotion-policy-hold", text, [id]));
}

async function lockPolicyOf(sql: Sql, sourceId: number, name: string): Promise<Policy | undefined> {
  const text = `select ${COLUMNS} ${FROM} where p.source_id = $1 and p.name = $2 for update of p`;
  return toPolicy(await sql.query("promotion-policy-lock", text, [sourceId, name]));
}

function toPolicy([row]: Row[]): Policy | undefined {
  return row === undefined ? undefined : fromRow(row);
}

function fromRow(row: Row): Policy {
  const isAccepted = row.target_id !== null;
  return {
    ...{ id: Number(row.id), name: row.name, sourceId: Number(row.source_id), source: row.source },
    ...{ enabled: row.enabled, terms: row.terms, setBy: row.set_by, setAt: row.set_at, version: row.version },
    accepted: isAccepted ? { by: row.accepted_by, at: row.accepted_at, targetId: Number(row.target_id) } : undefined,
  };
}
