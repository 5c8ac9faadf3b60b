import { isJsonObject, type Json } from "../oci/json.ts";

/** One difference between two policy documents. A list of names is a set: who left, who came. */
export interface PolicyChange {
  /** `environments`, `prod`, `require`, `0`, `k`. */
  readonly path: readonly string[];
  /** Undefined: was not there. */
  readonly before: Json | undefined;
  /** Undefined: is gone. */
  readonly after: Json | undefined;
}

/** What changes from one document's JSON to another's, by name at every level. */
export function diffPolicies(before: Json, after: Json): PolicyChange[] {
  return diff([], before, after);
}

function diff(path: readonly string[], before: Json | undefined, after: Json | undefined): PolicyChange[] {
  const [old, fresh] = [membersOf(before), membersOf(after)];
  if (old === undefined || fresh === undefined) return before === after ? [] : [{ path, before, after }];
  const names = new Set([...old.keys(), ...fresh.keys()]);
  return [...names].sort().flatMap((name) => diff([...path, name], old.get(name), fresh.get(name)));
}

/** Of an object its members, of a list of names the names, of another list its places; undefined for a plain value. */
function membersOf(value: Json | undefined): ReadonlyMap<string, Json | undefined> | undefined {
  if (isJsonObject(value)) return new Map(Object.keys(value).map((key) => [key, value[key]]));
  if (!Array.isArray(value)) return undefined;
  return new Map(value.map((entry: Json, index) => [typeof entry === "string" ? entry : String(index), entry]));
}
