import { spkiOf } from "./key.ts";
import type { KeyId, ServerRole } from "./names.ts";
import type { RoleKeys } from "./verify.ts";

/** Ids of the keys whose private half the server holds for this GUN and this role, pending ones included. */
export type ServerKeys = Readonly<Record<ServerRole, ReadonlySet<KeyId>>>;

/** As many distinct keys of `role` that the server holds as its threshold asks for; undefined if there are fewer. */
export function findSigners({ keyIds, keys, threshold }: RoleKeys, held: ReadonlySet<KeyId>): KeyId[] | undefined {
  const bySpki = new Map<string, KeyId>();
  for (const id of keyIds) {
    const key = keys.get(id);
    const spki = key && spkiOf(key);
    if (held.has(id) && spki !== undefined && key?.id === id && !bySpki.has(spki)) bySpki.set(spki, id);
  }
  return bySpki.size < threshold ? undefined : [...bySpki.values()].slice(0, threshold);
}
