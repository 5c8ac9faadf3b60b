import { VerificationError } from "../notary/tuf/error.ts";
import { verifyHashes } from "../notary/tuf/file-hashes.ts";
import { spkiOf } from "../notary/tuf/key.ts";
import type { TargetFile } from "../notary/tuf/metadata.ts";
import { ancestorsOf, type Gun, type RoleName, TARGETS } from "../notary/tuf/names.ts";
import { DEFAULT_POLICY } from "../notary/tuf/policy.ts";
import type { TrustedMetadata } from "../notary/tuf/trusted-metadata.ts";
import { countingRoles, findTarget, resolveTarget, signersOf } from "../notary/tuf/trusted-targets.ts";
import type { RoleKeys } from "../notary/tuf/verify.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import type { Evidence, Found, Refusal, Statement, TagBinding } from "./evidence.ts";
import type { Artifact, Subject } from "./subject.ts";

/** A trust collection that was read and walked as `gun`: under a name of the reader's own, never of an answer's. */
export interface TrustedCollection {
  readonly gun: Gun;
  readonly trusted: TrustedMetadata;
}

/**
 * Who signed the image, or an index that lists it, in a collection. Only a named delegation says a name: the top-level
 * `targets` belongs to the repository, and `targets/releases` is one file that everybody signs anew as a whole, with what
 * others put there.
 * @see product.md 4.5; hardening T24
 */
export function findTufEvidence(collection: TrustedCollection, subject: Subject): Found {
  const [evidence, refusals]: [Evidence[], Refusal[]] = [[], []];
  for (const entry of findEntries(collection.trusted, subject)) {
    const found = judgeEntry(collection, entry, subject);
    if (found === undefined) continue;
    if ("reason" in found) refusals.push(found);
    else evidence.push(...entry.signers.map((spki) => ({ format: "tuf" as const, spki, ...found })));
  }
  for (const [where, { problem }] of collection.trusted.roles) {
    if (problem !== undefined) refusals.push({ where, reason: problem.message });
  }
  return { evidence, refusals };
}

/** What a role that counts says of a tag. */
interface Entry {
  /** Its place among all of them. */
  readonly at: number;
  readonly role: RoleName;
  /** Whose signatures the role's file has. */
  readonly signers: readonly string[];
  readonly tag: string;
  readonly file: TargetFile;
  /** Undefined where it names no SHA-256. */
  readonly digest: Digest | undefined;
}

type Entries = ReadonlyMap<Digest | undefined, readonly Entry[]>;

/** A collection never changes once it was read, and is asked about each of its images. */
const known = new WeakMap<TrustedMetadata, Entries>();

/** Those that may be about the subject, in the order of the roles and files. */
function findEntries(trusted: TrustedMetadata, { covering }: Subject): Entry[] {
  const entries = known.get(trusted) ?? readEntries(trusted);
  known.set(trusted, entries);
  const some = [undefined, ...covering.keys()].flatMap((digest) => entries.get(digest as Digest | undefined) ?? []);
  return some.sort((a, b) => a.at - b.at);
}

function readEntries(trusted: TrustedMetadata): Entries {
  const entries = new Map<Digest | undefined, Entry[]>();
  let at = 0;
  for (const role of countingRoles(trusted)) {
    const signers = [...signersOf(role)];
    for (const [tag, file] of role.targets.targets) {
      const digest = sha256Of(file);
      const entry = { at: at++, role: role.name, signers, tag, file, digest };
      const others = entries.get(digest);
      if (others === undefined) entries.set(digest, [entry]);
      else others.push(entry);
    }
  }
  return entries;
}

/**
 * What the collection says the tag is; for an image named by digest alone, any tag that it says is this image. The tag must be
 * spelled exactly so.
 */
export function findTagBinding(collection: TrustedCollection, subject: Subject): TagBinding | undefined {
  const tags = subject.tag === undefined ? tagsOf(collection.trusted) : [subject.tag as string];
  for (const tag of tags) {
    const binding = bind(collection, tag);
    if (binding !== undefined && (subject.tag !== undefined || subject.covering.has(binding.digest))) return binding;
  }
  return undefined;
}

function bind(collection: TrustedCollection, tag: string): TagBinding | undefined {
  const resolved = resolveTarget(collection.trusted, tag);
  if (resolved === undefined) return undefined;
  const digest = sha256Of(resolved.file);
  if (digest === undefined) return undefined;
  const { expiresAt, freshAt } = statementOf(collection, resolved.role, tag);
  return { gun: collection.gun, tag, role: resolved.role, digest, expiresAt, freshAt };
}

const tagsOf = (trusted: TrustedMetadata): ReadonlySet<string> =>
  new Set(countingRoles(trusted).flatMap(({ targets }) => [...targets.targets.keys()]));

/** Undefined: it speaks of something else. */
function judgeEntry(
  collection: TrustedCollection,
  { role, tag, file, digest }: Entry,
  subject: Subject,
): Omit<Evidence, "format" | "spki"> | Refusal | undefined {
  const refuse = (reason: string): Refusal => ({ where: role, reason: `${tag}: ${reason}` });
  // Hashes that we do not know could be anything's.
  if (digest === undefined) return tag === subject.tag ? refuse("names no SHA-256") : undefined;
  const artifact = subject.covering.get(digest);
  if (artifact === undefined) return undefined;
  if (findTarget(collection.trusted, role, tag) === undefined)
    return refuse("is outside the names that were delegated to it");
  const doubt = findDoubt(file, role, artifact);
  if (doubt !== undefined) return refuse(doubt);
  if (isShared(role)) return refuse("says no person's name: sign it in a delegation of your own");
  return { digest, statement: statementOf(collection, role, tag) };
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

function statementOf({ gun, trusted }: TrustedCollection, role: RoleName, tag: string): Statement {
  const { root, timestamp, snapshot, roles } = trusted;
  const above = ancestorsOf(role);
  const files = [...above, role].flatMap((name) => roles.get(name)?.targets ?? []);
  const ends = [root, timestamp, snapshot, ...files].map(({ expiresAt }) => expiresAt.getTime());
  return {
    gun,
    role,
    tag,
    definedBy: new Set([root.roles.root, ...above.map((name) => roles.get(name)?.keys)].flatMap(spkisOf)),
    expiresAt: new Date(Math.min(...ends)),
    // A timestamp does not say when it was made, but every one lives equally long.
    freshAt: new Date(timestamp.expiresAt.getTime() - DEFAULT_POLICY.timestampLifeSeconds * 1000),
  };
}

function spkisOf(role: RoleKeys | undefined): string[] {
  const keys = role?.keyIds.map((id) => role.keys.get(id)) ?? [];
  return keys.flatMap((key) => (key && spkiOf(key)) ?? []);
}
