import { spkiOf } from "./key.ts";
import type { TargetFile, Targets } from "./metadata.ts";
import { ancestorsOf, RELEASES, type RoleName, TARGETS } from "./names.ts";
import type { TrustedMetadata, TrustedRole } from "./trusted-metadata.ts";
import { findSignersOf } from "./verify.ts";

/** `targets` or a delegation that counts: with all above it, it is signed as it must be and has not expired. */
export interface CountingRole extends TrustedRole {
  readonly targets: Targets;
}

/** Those that count, in the order of the walk: a parent before its children. */
export function countingRoles(trusted: TrustedMetadata): CountingRole[] {
  return [...trusted.roles.keys()].flatMap((name) => findCounting(trusted, name) ?? []);
}

/** Undefined also where a role above does not count, though what stands below it is signed. */
export function findCounting({ roles }: TrustedMetadata, name: RoleName): CountingRole | undefined {
  const chain = [...ancestorsOf(name), name].map((step) => roles.get(step));
  const role = chain.at(-1);
  if (!chain.every((step) => step?.targets !== undefined && step.problem === undefined)) return undefined;
  return role?.targets && { ...role, targets: role.targets };
}

/**
 * What the role says of the target `name`; undefined when it says nothing, does not count, or was not given the name by
 * everyone above it.
 * @see hardening T14a
 */
export function findTarget(trusted: TrustedMetadata, role: RoleName, name: string): TargetFile | undefined {
  const given = [...ancestorsOf(role), role].every((step) =>
    trusted.roles.get(step)?.paths.some((prefix) => name.startsWith(prefix)),
  );
  return given ? findCounting(trusted, role)?.targets.targets.get(name) : undefined;
}

/** Whose word a client takes for `name`: docker's order (`targets/releases`, `targets`), then the order of the walk. */
export function resolveTarget(
  trusted: TrustedMetadata,
  name: string,
): { readonly role: RoleName; readonly file: TargetFile } | undefined {
  for (const role of [RELEASES, TARGETS, ...trusted.roles.keys()]) {
    const file = findTarget(trusted, role, name);
    if (file !== undefined) return { role, file };
  }
  return undefined;
}

/** {@link spkiOf} of each key that signed the role. */
export function signersOf({ targets, keys }: CountingRole): ReadonlySet<string> {
  return new Set(findSignersOf(targets, keys).flatMap((key) => spkiOf(key) ?? []));
}
