import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import { type Database, isViolation, type Row, type Sql } from "../storage/database.ts";
import type { GateVerdict } from "./deps.ts";
import { alreadyAsked } from "./errors.ts";
import type { Gates } from "./terms.ts";

/**
 *   pending --approvals are complete--> done --somebody wants it back--> reversed
 *   pending --> rejected (by a person), expired, superseded (the source is another image by now), failed (never again)
 *
 * `failed` is also what a policy leaves behind where it could not do what it says.
 */
export const PROMOTION_STATES = [
  ...["pending", "done", "reversed"],
  ...["rejected", "expired", "superseded", "failed"],
] as const;
export type PromotionState = (typeof PROMOTION_STATES)[number];

export interface NewPromotion {
  readonly sourceId: number;
  readonly source: RepositoryName;
  readonly sourceTag: Tag | undefined;
  readonly destination: RepositoryName;
  readonly tag: Tag;
  readonly digest: Digest;
  readonly policy: { readonly id: number; readonly name: string } | undefined;
  readonly terms: Gates;
  readonly askedBy: string;
  /** Undefined for a robot. */
  readonly askedByUser: number | undefined;
  /** Policies that led here. */
  readonly via: readonly number[];
  readonly askedAt: Date;
  readonly expiresAt: Date;
}

export interface Promotion extends NewPromotion {
  readonly id: number;
  readonly state: PromotionState;
  readonly reason: string | undefined;
  readonly destinationId: number | undefined;
  /** What the tag was until then. */
  readonly previous: Digest | undefined;
  readonly gates: readonly GateVerdict[];
  readonly endedAt: Date | undefined;
  readonly statement: Buffer | undefined;
  readonly statementDigest: Digest | undefined;
}

/** How a promotion was done. */
export interface Outcome {
  readonly destinationId: number;
  readonly previous: Digest | undefined;
  readonly gates: readonly GateVerdict[];
  readonly statement: Buffer;
  readonly statementDigest: Digest;
  readonly at: Date;
}

export interface PromotionsQuery {
  /** Only those before this one; the newest first. */
  readonly before: bigint;
  readonly limit: number;
  readonly source?: string | undefined;
  readonly destination?: string | undefined;
  readonly digest?: string | undefined;
  readonly state?: PromotionState | undefined;
}

const COLUMNS = `p.id, p.state, p.reason, p.source_id, p.source, p.source_tag, p.destination_id, p.destination, p.tag, p.digest,
  p.previous, p.policy_id, p.policy, p.terms, p.gates, p.asked_by, p.asked_by_user, p.via, p.asked_at, p.expires_at, p.ended_at,
  p.statement, p.statement_digest`;

/** Rows of `promotions`, outside of the transactions that change them. */
export class PromotionsStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(id: number): Promise<Promotion | undefined> {
    return toPromotion(
      await this.#database.query("promotion", `select ${COLUMNS} from promotions p where p.id = $1`, [id]),
    );
  }

  async list({ before, limit, source, destination, digest, state }: PromotionsQuery): Promise<Promotion[]> {
    const rows = await this.#database.query(
      "promotions",
      `select ${COLUMNS} from promotions p where p.id < $1::bigint and ($3::text is null or p.source = $3)
         and ($4::text is null or p.destination = $4) and ($5::text is null or p.digest = $5)
         and ($6::text is null or p.state = $6)
       order by p.id desc limit $2`,
      [before.toString(), limit, source ?? null, destination ?? null, digest ?? null, state ?? null],
    );
    return rows.map(fromRow);
  }

  /** Ids of those that wait for nobody any more: they are past their time, or somebody approved them. */
  async listPending(): Promise<number[]> {
    const rows = await this.#database.query<{ id: string }>(
      "promotions-pending",
      "select p.id from promotions p where p.state = 'pending' order by p.id",
    );
    return rows.map(({ id }) => Number(id));
  }
}

/** Pending. @throws ProblemError already-asked */
export async function insertPromotion(sql: Sql, asked: NewPromotion): Promise<Promotion> {
  const rows = await sql
    .query(
      "promotion-insert",
      `insert into promotions as p (state, source_id, source, source_tag, destination, tag, digest, policy_id, policy, terms,
         asked_by, asked_by_user, via, asked_at, expires_at)
       values ('pending', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) returning ${COLUMNS}`,
      [
        ...[asked.sourceId, asked.source, asked.sourceTag ?? null, asked.destination, asked.tag, asked.digest],
        ...[asked.policy?.id ?? null, asked.policy?.name ?? null, JSON.stringify(asked.terms)],
        ...[asked.askedBy, asked.askedByUser ?? null, asked.via, asked.askedAt, asked.expiresAt],
      ],
    )
    .catch((cause: unknown) => {
      if (isViolation(cause, "promotions_asked")) throw alreadyAsked(asked, cause);
      throw cause;
    });
  return fromRow(rows[0] ?? {});
}

/** Whoever changes it holds it so from the beginning. */
export async function lockPromotion(sql: Sql, id: number): Promise<Promotion | undefined> {
  const text = `select ${COLUMNS} from promotions p where p.id = $1 for update`;
  return toPromotion(await sql.query("promotion-lock", text, [id]));
}

export async function markDone(sql: Sql, id: number, outcome: Outcome): Promise<void> {
  await sql.query(
    "promotion-done",
    `update promotions set state = 'done', reason = null, destination_id = $2, previous = $3, gates = $4, statement = $5,
       statement_digest = $6, ended_at = $7 where id = $1`,
    [
      ...[id, outcome.destinationId, outcome.previous ?? null, JSON.stringify(outcome.gates), outcome.statement],
      ...[outcome.statementDigest, outcome.at],
    ],
  );
}

export interface Ending {
  readonly state: Exclude<PromotionState, "pending" | "done">;
  readonly reason: string;
  readonly at: Date;
}

export async function endPromotion(sql: Sql, id: number, { state, reason, at }: Ending): Promise<void> {
  const text = "update promotions set state = $2, reason = $3, ended_at = $4 where id = $1";
  await sql.query("promotion-end", text, [id, state, reason, at]);
}

/** Why one that could be done is not done yet. */
export async function noteObstacle(sql: Sql, id: number, reason: string): Promise<void> {
  await sql.query("promotion-obstacle", "update promotions set reason = $2 where id = $1 and state = 'pending'", [
    id,
    reason,
  ]);
}

/** Those that wait for approvals of what the source's tag is no longer. */
export async function supersede(
  sql: Sql,
  {
    sourceId,
    tag,
    digest,
    at,
  }: { readonly sourceId: number; readonly tag: Tag; readonly digest: Digest; readonly at: Date },
): Promise<void> {
  await sql.query(
    "promotions-supersede",
    `update promotions set state = 'superseded', ended_at = $4, reason = 'the tag ' || source_tag || ' is ' || $3 || ' now'
     where state = 'pending' and source_id = $1 and source_tag = $2 and digest <> $3`,
    [sourceId, tag, digest, at],
  );
}

/** The last one that a policy made of a tag of its source. */
export async function findLatest(sql: Sql, policyId: number, sourceTag: Tag): Promise<Promotion | undefined> {
  return toPromotion(
    await sql.query(
      "promotion-latest",
      `select ${COLUMNS} from promotions p where p.policy_id = $1 and p.source_tag = $2 order by p.id desc limit 1`,
      [policyId, sourceTag],
    ),
  );
}

function toPromotion([row]: Row[]): Promotion | undefined {
  return row === undefined ? undefined : fromRow(row);
}

function fromRow(row: Row): Promotion {
  return {
    id: Number(row.id),
    state: row.state,
    reason: row.reason ?? undefined,
    sourceId: Number(row.source_id ?? 0),
    source: row.source,
    sourceTag: row.source_tag ?? undefined,
    destinationId: row.destination_id === null ? undefined : Number(row.destination_id),
    destination: row.destination,
    tag: row.tag,
    digest: row.digest,
    previous: row.previous ?? undefined,
    policy: row.policy === null ? undefined : { id: Number(row.policy_id ?? 0), name: row.policy },
    terms: row.terms,
    gates: row.gates,
    askedBy: row.asked_by,
    askedByUser: row.asked_by_user === null ? undefined : Number(row.asked_by_user),
    via: row.via.map(Number),
    askedAt: row.asked_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at ?? undefined,
    statement: row.statement ?? undefined,
    statementDigest: row.statement_digest ?? undefined,
  };
}
