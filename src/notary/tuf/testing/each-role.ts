import { type Attack, fault } from "./attack.ts";
import type { Change } from "./loose.ts";
import { Repository } from "./repository.ts";
import type { TestKey } from "./test-key.ts";

/** A role whose next file can be attacked alone, with all else honest. */
export interface Target {
  readonly role: string;
  readonly errorName: string;
  readonly repository: Repository;
  /** Present version. */
  readonly version: number;
  /** The role's honest next file, changed before and signed after. */
  readonly file: (repository: Repository, change?: Change, keys?: readonly TestKey[]) => Buffer;
  /** An honest publish of this very role. */
  readonly honest: NonNullable<Attack["honest"]>;
}

const serverSnapshot = Repository.published();
const clientSnapshot = Repository.published({ clientSnapshot: true });

function target(role: string, errorName: string, repository: Repository): Target {
  return {
    role,
    errorName,
    repository,
    version: repository.versionOf(role) ?? 0,
    file: (copy, change, keys) => Buffer.from(copy.part(role, change, keys).bytes),
    honest: (copy) => [copy.part(role)],
  };
}

/** Every kind of file that a client uploads. */
export const TARGETS_OF_ATTACK: readonly Target[] = [
  target("root", "ErrBadRoot", serverSnapshot),
  target("targets", "ErrBadTargets", serverSnapshot),
  target("targets/a", "ErrBadTargets", serverSnapshot),
  target("targets/a/b", "ErrBadTargets", serverSnapshot),
  target("snapshot", "ErrBadSnapshot", clientSnapshot),
];

/** An attack on each kind of file. `change` works on `signed` before it is signed. */
export function onEachRole(
  name: string,
  change: Change,
  refusal: (target: Target) => Pick<Attack, "code" | "detail">,
  on: readonly Target[] = TARGETS_OF_ATTACK,
): Attack[] {
  return on.map((each) => ({
    name: `${each.role}: ${name}`,
    repository: each.repository,
    parts: (copy) => [{ filename: each.role, bytes: each.file(copy, change) }],
    honest: each.honest,
    ...refusal(each),
  }));
}

/** An attack on the text of a file that was signed honestly. */
export function onEachText(
  name: string,
  change: (text: string) => string | Buffer,
  refusal: (target: Target) => Pick<Attack, "code" | "detail">,
  on: readonly Target[] = TARGETS_OF_ATTACK,
): Attack[] {
  return on.map((each) => ({
    name: `${each.role}: ${name}`,
    repository: each.repository,
    parts: (copy) => [{ filename: each.role, bytes: Buffer.from(change(each.file(copy).toString())) }],
    honest: each.honest,
    ...refusal(each),
  }));
}

export const malformed = (): Pick<Attack, "code" | "detail"> => ({ code: "MALFORMED_JSON", detail: undefined });

export const invalid =
  (message: string | ((target: Target) => string)) =>
  (target: Target): Pick<Attack, "code" | "detail"> => ({
    code: "INVALID_UPDATE",
    detail: fault(target.errorName, typeof message === "string" ? message : message(target)),
  });

/** What a file says when too few of the right keys signed it. */
export const unsigned = invalid(({ role }) =>
  role === "root" ? ROTATION_FAILED : `valid signatures did not meet threshold for ${role}`,
);

export const ROTATION_FAILED =
  "could not rotate trust to a new trusted root: failed to validate data with current trusted certificates";
export const INTEGRITY_FAILED = "could not validate the path to a trusted root: failed to validate integrity of roots";
export const NO_CERTIFICATE =
  "could not validate the path to a trusted root: unable to retrieve valid leaf certificates";
