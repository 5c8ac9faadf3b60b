/** Changes to the delegations of the published repository, for the attacks on them. */
import { type Attack, fault } from "./attack.ts";
import { type Change, put } from "./loose.ts";
import { keysOf, Repository, roleOf } from "./repository.ts";
import { ecdsaKey, type TestKey } from "./test-key.ts";

export const published = Repository.published();
export const badTargets = (message: string): Pick<Attack, "code" | "detail"> => ({
  code: "INVALID_UPDATE",
  detail: fault("ErrBadTargets", message),
});

export const on = (role: string, name: string, change: Change, message: string): Attack => ({
  name: `${role}: ${name}`,
  repository: published,
  parts: (copy) => [copy.part(role, change)],
  ...badTargets(message),
});

export const entry = (name: unknown, keys: readonly TestKey[], threshold = 1, paths: unknown = [""]) => ({
  ...(roleOf(keys, threshold) as object),
  name,
  paths,
});
export const delegate = (keys: readonly TestKey[], ...roles: readonly unknown[]): Change =>
  put(["delegations"], { keys: keysOf(...keys), roles });
export const signer = ecdsaKey();

export const childOf = (role: string): string => `${role}/x`;
export const roles = ["targets", "targets/a", "targets/a/b"];
