import type { Database } from "./database.ts";
import type { LookupRow } from "./lookup-query.ts";

/** One number for everything that permissions depend on: the same number, the same rights. */
export interface RightsVersion {
  readonly version: string;
  /** By the database's clock, ms. */
  readonly now: number;
}

/** What was found for one key, and the version that the rights had in that very look at the database. */
export interface Seen<T> {
  readonly found: T | undefined;
  /** Of the batch: read after its last key was asked for. */
  readonly rights: string;
}

/** Reads `rights_version` (0013_rights_version.sql); who may do what hangs on it in orgs/access-lookup.ts. */
export async function readRights(database: Database): Promise<RightsVersion> {
  const text = "select version, (extract(epoch from statement_timestamp()) * 1000)::bigint from rights_version";
  const [row] = await database.lookUp({ name: "rights-version", text, keys: [] });
  return { version: row?.[0] ?? "", now: Number(row?.[1]) };
}

/**
 * The last column of a look-up: whoever is to be judged meanwhile need not ask the database once more. PostgreSQL reads it
 * once for all rows, and there has to be one: whatever is looked up is joined to the keys from the left.
 */
export const RIGHTS = "(select version from rights_version) as rights";

/** The answers to the keys, in their order. The first column of a row is the place of its key, from 1. */
export function toSeen<T>(rows: readonly LookupRow[], toFound: (row: LookupRow) => T | undefined): Seen<T>[] {
  const seen: Seen<T>[] = Array.from({ length: rows.length });
  for (const row of rows) seen[Number(row[0]) - 1] = { found: toFound(row), rights: row.at(-1) ?? "" };
  return seen;
}
