import { digestOf } from "../oci/digest.ts";
import { isViolation, type Row, type Sql } from "../storage/database.ts";
import { conflict } from "./errors.ts";
import type { Approver } from "./statement.ts";

export interface Approval extends Approver {
  readonly userId: number;
}

export interface NewApproval {
  readonly promotionId: number;
  readonly userId: number;
  readonly user: string;
  /** Hex. */
  readonly keySha256: string;
  readonly envelope: Buffer;
  readonly at: Date;
}

const COLUMNS = "a.promotion_id, a.user_id, a.user_name, encode(a.spki_sha256, 'hex') as spki, a.envelope, a.at";

/** Rows of `promotion_approvals`, in the order in which they were given. */
export async function listApprovals(
  sql: Sql,
  promotionIds: readonly number[],
): Promise<ReadonlyMap<number, Approval[]>> {
  const rows = await sql.query(
    "promotion-approvals",
    `select ${COLUMNS} from promotion_approvals a where a.promotion_id = any($1::bigint[]) order by a.at, a.user_id`,
    [promotionIds],
  );
  const found = new Map<number, Approval[]>();
  for (const row of rows) {
    const id = Number(row.promotion_id);
    found.set(id, [...(found.get(id) ?? []), toApproval(row)]);
  }
  return found;
}

/** @throws ProblemError already-approved */
export async function insertApproval(sql: Sql, approval: NewApproval): Promise<void> {
  const { promotionId, userId, user, keySha256, envelope, at } = approval;
  await sql
    .query(
      "promotion-approve",
      `insert into promotion_approvals (promotion_id, user_id, user_name, spki_sha256, envelope, at)
       values ($1, $2, $3, $4, $5, $6)`,
      [promotionId, userId, user, Buffer.from(keySha256, "hex"), envelope, at],
    )
    .catch((cause: unknown) => {
      if (isViolation(cause, "promotion_approvals_pkey"))
        throw conflict("already-approved", `${user} has approved this already, and counts once`);
      throw cause;
    });
}

function toApproval(row: Row): Approval {
  return {
    ...{ userId: Number(row.user_id), user: row.user_name, keySha256: row.spki, at: row.at },
    envelope: digestOf(row.envelope),
  };
}
