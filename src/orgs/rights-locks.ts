import type { Sql } from "../storage/database.ts";

export interface Holds {
  readonly alone?: readonly string[];
  readonly shared?: readonly string[];
}

export const orgLock = (name: string): string => `org ${name}`;
export const userLock = (name: string): string => `user ${name}`;

/**
 * Changes of rights hold their organization (or user) alone, uses of them share it, from here to the end of their
 * transactions: of a push and a revocation that meet, one is over before the other looks. PostgreSQL queues them in the
 * order they came, so a stream of pushes keeps no revocation waiting. Taken first in a transaction and in one order by
 * all, so that no two wait for each other.
 */
export async function holdRights(sql: Sql, { alone = [], shared = [] }: Holds): Promise<void> {
  const names = [...new Set([...alone, ...shared])].sort();
  await sql.query(
    "rights-hold",
    `select case when alone then pg_advisory_xact_lock(hashtextextended(name, 0))
       else pg_advisory_xact_lock_shared(hashtextextended(name, 0)) end
     from unnest($1::text[], $2::boolean[]) as h (name, alone)`,
    [names, names.map((name) => alone.includes(name))],
  );
}
