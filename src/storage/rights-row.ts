import type { RightsVersion } from "../oci/access.ts";
import type { Database } from "./database.ts";
import type { LookupRow } from "./lookup-query.ts";

/** What was found for one key, and the version that the rights had in that very look at the database. */
export interface Seen<T> {
  readonly found: T | undefined;
  /** Of the batch: read after its last key was asked for. */
  readonly rights: RightsVersion;
}

const RIGHTS = "select 0, version, (extract(epoch from statement_timestamp()) * 1000)::bigint";

/** Reads `rights_version` (0013_rights_version.sql); who may do what hangs on it in orgs/access-lookup.ts. */
export async function readRights(database: Database): Promise<RightsVersion> {
  const [row] = await database.lookUp({ name: "rights-version", text: `${RIGHTS} from rights_version`, keys: [] });
  return toRights(row);
}

/**
 * A look-up that reads the version of the rights along with its rows: whoever is to be judged meanwhile need not ask the
 * database once more. `columns`: how many the look-up has, at least three; the first is the place of a key, from 1, the
 * second and third are numbers.
 */
export function withRights(text: string, columns: number): string {
  return `${RIGHTS}${", null".repeat(columns - 3)} from rights_version union all ${text}`;
}

/** The answers to so many keys, in their order. */
export function toSeen<T>(rows: readonly LookupRow[], keys: number, toFound: (row: LookupRow) => T): Seen<T>[] {
  const rights = toRights(rows.find(([place]) => place === "0"));
  const found: (T | undefined)[] = Array.from({ length: keys });
  for (const row of rows) if (row[0] !== "0") found[Number(row[0]) - 1] = toFound(row);
  return found.map((each) => ({ found: each, rights }));
}

function toRights(row: LookupRow | undefined): RightsVersion {
  if (row === undefined) throw new Error("rights_version has no row");
  return { version: row[1] ?? "", now: Number(row[2]) };
}
