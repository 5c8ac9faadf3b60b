import { VerificationError } from "./error.ts";

/** The globally unique name of a trust collection: `registry.example.com/team/app`. */
export type Gun = string & { readonly __brand: "Gun" };
/** `root`, `targets`, `snapshot`, `timestamp`, or a delegation `targets/…`. */
export type RoleName = string & { readonly __brand: "RoleName" };
/** SHA-256 over the key's canonical JSON: 64 lower-case hex digits. */
export type KeyId = string & { readonly __brand: "KeyId" };

export type BaseRole = "root" | "targets" | "snapshot" | "timestamp";
/** The roles whose keys a server may hold. */
export type ServerRole = "snapshot" | "timestamp";

export const BASE_ROLES: readonly BaseRole[] = ["root", "targets", "snapshot", "timestamp"];
export const [ROOT, TARGETS, SNAPSHOT, TIMESTAMP] = BASE_ROLES as readonly string[] as [
  RoleName,
  RoleName,
  RoleName,
  RoleName,
];

/** What docker pulls by, before `targets`: whoever may release signs tags there too. */
export const RELEASES = "targets/releases" as RoleName;

const MAX_NAME_LENGTH = 255;
const DELEGATION = /^targets(?:\/[-a-z0-9_]+)+$/;
const KEY_ID = /^[0-9a-f]{64}$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what no honest name holds (hardening T08, T17)
const GUN = /^[^*\s\u0000-\u0020\u007f]+$/u;

/** @throws VerificationError NAME */
export function parseGun(text: string): Gun {
  if (text.length > MAX_NAME_LENGTH || !text.isWellFormed() || !GUN.test(text)) {
    throw new VerificationError("NAME", "not the name of a trust collection");
  }
  return text as Gun;
}

export function isRoleName(text: string): text is RoleName {
  return (BASE_ROLES as readonly string[]).includes(text) || isDelegationName(text);
}

/** A delegation: lower case only, no empty, `.` or `..` segment, shorter than 256. */
export function isDelegationName(text: string): text is RoleName {
  return text.length <= MAX_NAME_LENGTH && DELEGATION.test(text);
}

/** @throws VerificationError NAME */
export function parseRoleName(text: string): RoleName {
  if (!isRoleName(text)) throw new VerificationError("NAME", `tuf: invalid role ${text.slice(0, 64)}.`);
  return text;
}

/** @throws VerificationError NAME */
export function parseKeyId(text: string): KeyId {
  if (!KEY_ID.test(text)) throw new VerificationError("NAME", "a key ID is 64 lower-case hex digits");
  return text as KeyId;
}

/** `targets/a/b` → `targets/a`; undefined for `targets` and the other base roles. */
export function parentOf(role: RoleName): RoleName | undefined {
  const slash = role.lastIndexOf("/");
  return slash < 0 ? undefined : (role.slice(0, slash) as RoleName);
}

/** `targets/a/b` → `targets`, `targets/a`. */
export function ancestorsOf(role: RoleName): RoleName[] {
  const parent = parentOf(role);
  return parent === undefined ? [] : [...ancestorsOf(parent), parent];
}

/** How many delegations stand between `targets` and the role: 0 for `targets`, 2 for `targets/a/b`. */
export function levelOf(role: RoleName): number {
  return role.split("/").length - 1;
}
