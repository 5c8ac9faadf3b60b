import { canonicalKeyId } from "../../notary/tuf/key.ts";
import { type RoleName, TARGETS } from "../../notary/tuf/names.ts";
import type { TrustedMetadata } from "../../notary/tuf/trusted-metadata.ts";
import { type CountingRole, countingRoles, findTarget } from "../../notary/tuf/trusted-targets.ts";
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
  const byTag = new Map<string, SignedTag>();
  for (const role of inOrder(trusted)) {
    const keyIds = findSignersOf(role.targets, role.keys).map(canonicalKeyId);
    const signature = { role: role.name, keyIds, expiresAt: role.targets.expiresAt };
    for (const tag of role.targets.targets.keys()) {
      const file = findTarget(trusted, role.name, tag);
      const sha256 = file?.hashes.get("sha256");
      if (file === undefined || sha256 === undefined) continue;
      const digest = toDigest(sha256);
      const entry = byTag.get(`${tag}@${digest}`);
      const isReleased = entry?.isReleased ?? findReleased(trusted, tag) === digest;
      const signatures = [...(entry?.signatures ?? []), signature];
      byTag.set(`${tag}@${digest}`, { tag, digest, size: file.length, isReleased, signatures });
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

/** The roles that release first. */
function inOrder(trusted: TrustedMetadata): CountingRole[] {
  const roles = countingRoles(trusted);
  const first = [RELEASES, TARGETS].flatMap((name) => roles.filter((role) => role.name === name));
  return [...first, ...roles.filter((role) => !first.includes(role))];
}

function findReleased(trusted: TrustedMetadata, tag: string): string | undefined {
  const file = findTarget(trusted, RELEASES, tag) ?? findTarget(trusted, TARGETS, tag);
  const sha256 = file?.hashes.get("sha256");
  return sha256 && toDigest(sha256);
}

const toDigest = (sha256: Buffer): string => `sha256:${sha256.toString("hex")}`;
