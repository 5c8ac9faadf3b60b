import { VerificationError } from "../notary/tuf/error.ts";
import { verifyHashes } from "../notary/tuf/file-hashes.ts";
import { spkiOf } from "../notary/tuf/key.ts";
import type { TargetFile } from "../notary/tuf/metadata.ts";
import { ancestorsOf, type RoleName, TARGETS } from "../notary/tuf/names.ts";
import { DEFAULT_POLICY } from "../notary/tuf/policy.ts";
import { findTarget, resolveTarget, type TrustedSet } from "../notary/tuf/trusted-set.ts";
import type { RoleKeys } from "../notary/tuf/verify.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import type { Evidence, Found, Refusal, Statement, TagBinding } from "./evidence.ts";
import type { Artifact, Subject } from "./subject.ts";

/**
 * Who signed the image, or an index that lists it, in a walked set. Only a named delegation says a name: the top-level
 * `targets` belongs to the repository, and `targets/releases` is one file that everybody signs anew as a whole, with what
 * others put there.
 * @see product.md 4.5; hardening T24
 */
export function findTufEvidence(set: TrustedSet, subject: Subject): Found {
  const [evidence, refusals]: [Evidence[], Refusal[]] = [[], []];
  for (const [role, { targets, signers }] of set.roles) {
    for (const tag of targets.targets.keys()) {
      const found = judgeEntry(set, role, tag, subject);
      if (found === undefined) continue;
      if ("reason" in found) refusals.push(found);
      else evidence.push(...[...signers].map((spki) => ({ format: "tuf" as const, spki, ...found })));
    }
  }
  for (const [where, { message }] of set.dropped) refusals.push({ where, reason: message });
  return { evidence, refusals };
}

/**
 * What the set says the tag is; for an image named by digest alone, any tag that it says is this image. The tag must be
 * spelled exactly so.
 */
export function findTagBinding(set: TrustedSet, subject: Subject): TagBinding | undefined {
  const tags = subject.tag === undefined ? tagsOf(set) : [subject.tag as string];
  for (const tag of tags) {
    const binding = bind(set, tag);
    if (binding !== undefined && (subject.tag !== undefined || subject.covering.has(binding.digest))) return binding;
  }
  return undefined;
}

function bind(set: TrustedSet, tag: string): TagBinding | undefined {
  const resolved = resolveTarget(set, tag);
  const digest = resolved && sha256Of(resolved.file);
  if (resolved === undefined || digest === undefined) return undefined;
  const { expiresAt, freshAt } = statementOf(set, resolved.role, tag);
  return { gun: set.gun, tag, role: resolved.role, digest, expiresAt, freshAt };
}

const tagsOf = ({ roles }: TrustedSet): ReadonlySet<string> =>
  new Set([...roles.values()].flatMap(({ targets }) => [...targets.targets.keys()]));

/** Undefined: it speaks of something else. */
function judgeEntry(
  set: TrustedSet,
  role: RoleName,
  tag: string,
  subject: Subject,
): Omit<Evidence, "format" | "spki"> | Refusal | undefined {
  const file = set.roles.get(role)?.targets.targets.get(tag);
  const digest = file && sha256Of(file);
  const artifact = digest && subject.covering.get(digest);
  const refuse = (reason: string): Refusal => ({ where: role, reason: `${tag}: ${reason}` });
  // Hashes that we do not know could be anything's.
  if (file && digest === undefined && tag === subject.tag) return refuse("names no SHA-256");
  if (file === undefined || digest === undefined || artifact === undefined) return undefined;
  if (findTarget(set, role, tag) === undefined) return refuse("is outside the names that were delegated to it");
  const doubt = findDoubt(file, role, artifact);
  if (doubt !== undefined) return refuse(doubt);
  if (isShared(role)) return refuse("says no person's name: sign it in a delegation of your own");
  return { digest, statement: statementOf(set, role, tag) };
}

/** The entry must be of exactly these bytes, by its length and by every hash that it gives. */
function findDoubt(file: TargetFile, role: RoleName, { bytes }: Artifact): string | undefined {
  if (file.length !== bytes.length) return `is said to be ${file.length} bytes long and is ${bytes.length}`;
  try {
    verifyHashes(bytes, role, file);
    return undefined;
  } catch (error) {
    if (error instanceof VerificationError) return error.message;
    throw error;
  }
}

function sha256Of({ hashes }: TargetFile): Digest | undefined {
  const hash = hashes.get("sha256");
  return hash && parseDigest(`sha256:${hash.toString("hex")}`);
}

function isShared(role: RoleName): boolean {
  return role === TARGETS || role === "targets/releases" || role.startsWith("targets/releases/");
}

/** Roles that a server signs by rule: what stands there, the server said. */
export function isServerRole(role: RoleName): boolean {
  return role.startsWith("targets/goldseal-");
}

function statementOf(set: TrustedSet, role: RoleName, tag: string): Statement {
  const above = ancestorsOf(role);
  const keys = above.flatMap((name) => spkisOf(set.roles.get(name)?.keys));
  const files = [...above, role].flatMap((name) => set.roles.get(name)?.targets ?? []);
  const ends = [set.root, set.timestamp, set.snapshot, ...files].map(({ expiresAt }) => expiresAt.getTime());
  const lifeMs = DEFAULT_POLICY.timestampLifeSeconds * 1000;
  return {
    gun: set.gun,
    role,
    tag,
    definedBy: new Set([...spkisOf(set.root.roles.root), ...spkisOf(set.root.roles.targets), ...keys]),
    expiresAt: new Date(Math.min(...ends)),
    // A timestamp does not say when it was made, but every one lives equally long.
    freshAt: new Date(set.timestamp.expiresAt.getTime() - lifeMs),
  };
}

function spkisOf(role: RoleKeys | undefined): string[] {
  const keys = role?.keyIds.map((id) => role.keys.get(id)) ?? [];
  return keys.flatMap((key) => (key && spkiOf(key)) ?? []);
}
