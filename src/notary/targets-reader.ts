import { LRUCache } from "lru-cache";
import { parseTargets, type Targets } from "./tuf/metadata.ts";
import type { RoleName } from "./tuf/names.ts";
import { sha256Of } from "./tuf/signed-file.ts";
import { bytesOf, type StoredRole } from "./tuf/update.ts";

/** Of all files that are remembered; read, they take several times as much memory. */
const maxBytes = 4 * 1024 * 1024;

/**
 * Reads stored targets and delegations, and remembers them by the hash of their bytes: what is read of the same bytes is
 * always the same, and a file of thousands of tags is signed again with each of them. Who signed it is the caller's to ask.
 */
export interface TargetsReader {
  /** @throws VerificationError */
  readonly read: (role: RoleName, stored: StoredRole) => Targets;
  /** What was just made, before anybody reads it. */
  readonly keep: (role: RoleName, file: Targets) => void;
}

export function openTargetsReader(): TargetsReader {
  const files = new LRUCache<string, Targets>({ maxSize: maxBytes, sizeCalculation: ({ bytes }) => bytes.length });
  return {
    read: (role, stored) => {
      const name = `${role} ${stored.sha256}`;
      const known = files.get(name);
      if (known !== undefined) return known;
      const targets = parseTargets(bytesOf(stored), role);
      files.set(name, targets);
      return targets;
    },
    keep: (role, file) => void files.set(`${role} ${sha256Of(file.bytes).toString("hex")}`, file),
  };
}
