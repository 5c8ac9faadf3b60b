import type { Json } from "../../oci/json.ts";
import { VerificationError } from "./error.ts";
import { readArray, readObject, readString } from "./fields.ts";
import { type Key, readKey } from "./key.ts";
import { type KeyId, parseKeyId } from "./names.ts";
import type { RoleKeys } from "./verify.ts";

interface RolePlace {
  /** The file that defines the role: `root`, `targets/a`. */
  readonly owner: string;
  readonly name: string;
  readonly keys: ReadonlyMap<KeyId, Key>;
}

export function readKeys(entries: readonly [string, Json][]): ReadonlyMap<KeyId, Key> {
  return new Map(entries.map(([id, value]) => [parseKeyId(id), readKey(value)]));
}

/** @throws VerificationError STRUCTURE for a threshold below one and for a key id that stands for nothing */
export function readRoleKeys(value: Json, { owner, name, keys }: RolePlace): RoleKeys {
  const role = readObject(value, "a role", ["keyids", "threshold"]);
  const threshold = readThreshold(role.threshold);
  if (threshold === undefined || threshold < 1) {
    throw invalid(owner, `invalid threshold specified for ${name}: ${threshold ?? "no whole number"} `);
  }
  const keyIds = readArray(role.keyids, "keyids").map((id) => readString(id, "a key ID") as KeyId);
  for (const id of keyIds) {
    if (!keys.has(id)) throw invalid(owner, `key ID ${id.slice(0, 64)} specified in ${name} without corresponding key`);
  }
  return { keyIds, threshold, keys };
}

/** `"1"` and `true` are no thresholds, and absent or null is none (hardening N08). */
function readThreshold(value: Json | undefined): number | undefined {
  if (value === undefined || value === null) return 0;
  return typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;
}

function invalid(owner: string, why: string): VerificationError {
  return new VerificationError("STRUCTURE", `${owner} type metadata invalid: ${why}`);
}
