import type { JsonObject } from "../../oci/json.ts";
import { KnownIndexes } from "../known-indexes.ts";
import { Ledger } from "../ledger.ts";

/** Those of a journal without its file. */
export function indexesInMemory(): KnownIndexes {
  const records: JsonObject[] = [];
  const append = async (record: object): Promise<void> => void records.push({ ...record });
  return new KnownIndexes({ journal: { append }, ledger: new Ledger({ records }) });
}
