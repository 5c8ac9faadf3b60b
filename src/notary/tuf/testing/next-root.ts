/** The published repository's next root, changed and signed, for the attacks on it. */
import { type Attack, fault } from "./attack.ts";
import { all, type Change, put } from "./loose.ts";
import { keysOf, Repository, roleOf } from "./repository.ts";
import type { TestKey } from "./test-key.ts";

export const published = Repository.published();
export const badRoot = (message: string): Pick<Attack, "code" | "detail"> => ({
  code: "INVALID_UPDATE",
  detail: fault("ErrBadRoot", message),
});
export const BASE = ["root", "targets", "snapshot", "timestamp"] as const;

/** The next root, changed, signed by its signer and those of `keys`. */
export const root = (name: string, change: Change, message: string, keys: readonly TestKey[] = []): Attack => ({
  name,
  repository: published,
  parts: (copy) => [copy.part("root", change, [copy.keys.root, ...keys])],
  ...badRoot(message),
});

/** `keys` in the place of one role's. */
export const roleKeys = (role: (typeof BASE)[number], keys: readonly TestKey[], threshold = 1): Change =>
  all(
    ...keys.map((pair) => put(["keys", pair.key.id], keysOf(pair)[pair.key.id])),
    put(["roles", role], roleOf(keys, threshold)),
  );
