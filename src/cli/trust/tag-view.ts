import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { ancestorsOf, type RoleName, TARGETS } from "../../notary/tuf/names.ts";
import type { TrustedMetadata, TrustedRole } from "../../notary/tuf/trusted-metadata.ts";
import { findSignersOf } from "../../notary/tuf/verify.ts";

/** What docker pulls by: tags in here, else those in `targets`. */
export const RELEASES = "targets/releases" as RoleName;

export interface RoleSignature {
  readonly role: RoleName;
  /** Canonical, of the keys that signed. */
  readonly keyIds: readonly string[];
  readonly expiresAt: Date;
}

/** One tag with one digest that somebody signed. */
export interface SignedTag {
  readonly tag: string;
  /** `sha256:…` */
  readonly digest: string;
  /** Bytes of the manifest. */
  readonly size: number;
  /** Whether clients pull it: it is the one in `targets/releases`, or in `targets` where that one has no such tag. */
  readonly isReleased: boolean;
  /** The role that releases it first, then the others. */
  readonly signatures: readonly RoleSignature[];
}

/** By tag; where people signed different digests, one entry each. */
export function viewTags(trusted: TrustedMetadata): SignedTag[] {
  const roles = countingRoles(trusted);
  const byTag = new Map<string, SignedTag>();
  for (const role of roles) {
    const keyIds = findSignersOf(role.targets, role.keys).map(canonicalKeyId);
    const signature = { role: role.name, keyIds, expiresAt: role.targets.expiresAt };
    for (const [tag, { hashes, length }] of role.targets.targets) {
      const sha256 = hashes.get("sha256");
      if (sha256 === undefined || !mayNameIt(trusted, role, tag)) continue;
      const digest = `sha256:${sha256.toString("hex")}`;
      const entry = byTag.get(`${tag}@${digest}`);
      const isReleased = entry?.isReleased ?? findReleased(trusted, tag) === digest;
      const signatures = [...(entry?.signatures ?? []), signature];
      byTag.set(`${tag}@${digest}`, { tag, digest, size: length, isReleased, signatures });
    }
  }
  return [...byTag.values()].sort((a, b) =>
    a.tag === b.tag ? (a.digest < b.digest ? -1 : 1) : a.tag < b.tag ? -1 : 1,
  );
}

/** Those who signed, without the two roles that only release. */
export function signersOf({ signatures }: SignedTag): readonly RoleSignature[] {
  return signatures.filter(({ role }) => role !== RELEASES && role !== TARGETS);
}

/** `targets/alice` → `alice`. */
export const signerName = (role: RoleName): string => role.replace(/^targets\//, "");

type CountingRole = TrustedRole & { readonly targets: NonNullable<TrustedRole["targets"]> };

function countingRoles({ roles }: TrustedMetadata): CountingRole[] {
  const counts = (role: TrustedRole): role is CountingRole => role.targets !== undefined && role.problem === undefined;
  const first = [RELEASES, TARGETS].map((name) => roles.get(name)).filter((role) => role !== undefined);
  const others = [...roles.values()].filter(({ name }) => name !== RELEASES && name !== TARGETS);
  return [...first, ...others].filter(counts);
}

function findReleased(trusted: TrustedMetadata, tag: string): string | undefined {
  for (const role of countingRoles(trusted)) {
    if (role.name !== RELEASES && role.name !== TARGETS) continue;
    const sha256 = role.targets.targets.get(tag)?.hashes.get("sha256");
    if (sha256 !== undefined && mayNameIt(trusted, role, tag)) return `sha256:${sha256.toString("hex")}`;
  }
  return undefined;
}

/** Hardening T14a: a delegation speaks only for the names that were given to it, and to those it hangs on. */
function mayNameIt({ roles }: TrustedMetadata, { name }: TrustedRole, tag: string): boolean {
  const chain = [...ancestorsOf(name), name].map((one) => roles.get(one)?.paths ?? []);
  return chain.every((paths) => paths.some((prefix) => tag.startsWith(prefix)));
}
