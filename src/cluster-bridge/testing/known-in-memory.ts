import type { JsonObject } from "../../oci/json.ts";
import { KnownIndexes } from "../known-indexes.ts";
import { KnownTags } from "../known-tags.ts";
import { Ledger } from "../ledger.ts";

/** What a journal without its file says that a digest was known by. */
export function knownInMemory(): { readonly indexes: KnownIndexes; readonly tags: KnownTags } {
  const records: JsonObject[] = [];
  const append = async (record: object): Promise<void> => void records.push({ ...record });
  const deps = { journal: { append }, ledger: new Ledger({ records }) };
  return { indexes: new KnownIndexes(deps), tags: new KnownTags(deps) };
}
