import { canonicalKeyId, spkiOf } from "./tuf/key.ts";
import type { TargetFile } from "./tuf/metadata.ts";
import { ancestorsOf, type RoleName, TARGETS } from "./tuf/names.ts";
import type { TrustedMetadata } from "./tuf/trusted-metadata.ts";
import { countingRoles, findTarget } from "./tuf/trusted-targets.ts";
import { findSignersOf } from "./tuf/verify.ts";

/** A role whose file says the same of a tag. */
export interface RoleSignature {
  readonly role: RoleName;
  /** Of the role's file. */
  readonly version: number;
  /** Canonical. */
  readonly keyIds: readonly string[];
  /** Of the same keys. */
  readonly spkis: readonly string[];
}

/** What clients take for a tag, as its repository signed it. */
export interface TagSignature {
  readonly tag: string;
  /** `sha256:…`; undefined where it was signed by other hashes alone, which clients refuse. */
  readonly digest: string | undefined;
  /** Bytes of the manifest. */
  readonly size: number;
  /** The role that clients take it from first, then those that say the same. */
  readonly signatures: readonly RoleSignature[];
  /**
   * When it lapses unless somebody signs again: the first of root, snapshot and the files down to the role to end. The
   * timestamp, which the server signs anew each day, is left out.
   */
  readonly expiresAt: Date;
}

/** What docker pulls by: tags in here, else those in `targets`. A tag in other delegations alone is none that it takes. */
const RELEASING = ["targets/releases" as RoleName, TARGETS] as const;

/** By tag, in ASCII order; docker's order decides what a tag is. */
export function viewSignedTags(trusted: TrustedMetadata): TagSignature[] {
  const signatures = new Map(countingRoles(trusted).map(({ name }) => [name, signatureOf(trusted, name)]));
  const names = new Set(RELEASING.flatMap((role) => [...(trusted.roles.get(role)?.targets?.targets.keys() ?? [])]));
  const tags = [...names].flatMap((tag) => viewTag(trusted, tag, signatures) ?? []);
  return tags.sort((a, b) => (a.tag < b.tag ? -1 : 1));
}

type Signatures = ReadonlyMap<RoleName, RoleSignature>;

function viewTag(trusted: TrustedMetadata, tag: string, signatures: Signatures): TagSignature | undefined {
  for (const role of RELEASING) {
    const file = findTarget(trusted, role, tag);
    if (file === undefined) continue;
    const digest = digestOf(file);
    const others = [...signatures.keys()].filter((name) => name !== role && says(trusted, name, tag, digest));
    return {
      ...{ tag, digest, size: file.length, expiresAt: endOf(trusted, role) },
      signatures: [role, ...others].flatMap((name) => signatures.get(name) ?? []),
    };
  }
  return undefined;
}

function says(trusted: TrustedMetadata, role: RoleName, tag: string, digest: string | undefined): boolean {
  const file = findTarget(trusted, role, tag);
  return file !== undefined && digest !== undefined && digestOf(file) === digest;
}

export function digestOf({ hashes }: Pick<TargetFile, "hashes">): string | undefined {
  const sha256 = hashes.get("sha256");
  return sha256 && `sha256:${sha256.toString("hex")}`;
}

function signatureOf({ roles }: TrustedMetadata, name: RoleName): RoleSignature {
  const role = roles.get(name);
  const keys = role?.targets === undefined ? [] : findSignersOf(role.targets, role.keys);
  return {
    role: name,
    version: role?.targets?.version ?? 0,
    keyIds: keys.map(canonicalKeyId),
    spkis: keys.flatMap((key) => spkiOf(key) ?? []),
  };
}

function endOf({ root, snapshot, roles }: TrustedMetadata, role: RoleName): Date {
  const files = [...ancestorsOf(role), role].flatMap((name) => roles.get(name)?.targets ?? []);
  return new Date(Math.min(...[root, snapshot, ...files].map(({ expiresAt }) => expiresAt.getTime())));
}
