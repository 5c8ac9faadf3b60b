import { ProblemError } from "../http/problem.ts";
import { canonicalKeyId, type Key, spkiOf } from "../notary/tuf/key.ts";
import { sha256Of } from "../notary/tuf/signed-file.ts";
import { type Envelope, findSigners, parseEnvelope } from "../trust/dsse.ts";
import { TrustError } from "../trust/error.ts";
import { POLICY_TYPE } from "../trust/policy.ts";
import { type PolicyDocument, parsePolicyDocument } from "../trust/policy-document.ts";

/** A signed policy document that was handed in, readable; nothing about its signatures is known yet. */
export interface HandedPolicy {
  /** As received. */
  readonly bytes: Buffer;
  readonly envelope: Envelope;
  readonly document: PolicyDocument;
  readonly payloadSha256: Buffer;
  readonly envelopeSha256: Buffer;
}

export interface PolicySigner {
  /** Canonical. */
  readonly keyId: string;
  readonly user: string;
}

/** A key of an account here. */
export interface AccountKey {
  readonly key: Key;
  readonly user: string;
  /** Neither removed nor of somebody suspended. */
  readonly counts: boolean;
}

export type PolicyCode =
  | "policy-malformed"
  | "policy-inconsistent"
  | "policy-signature"
  | "policy-expired"
  | "policy-version";

const STATUS = {
  "policy-malformed": 400,
  "policy-inconsistent": 400,
  "policy-signature": 400,
  "policy-expired": 409,
  "policy-version": 409,
} as const;

export function refuse(code: PolicyCode, message: string, options?: ErrorOptions): ProblemError {
  return new ProblemError(STATUS[code], code, message, options);
}

/** @throws ProblemError policy-malformed, policy-inconsistent */
export function readHandedPolicy(bytes: Buffer): HandedPolicy {
  try {
    const envelope = parseEnvelope(bytes);
    if (envelope.payloadType !== POLICY_TYPE)
      throw new TrustError("MALFORMED", `the envelope holds ${envelope.payloadType}, not ${POLICY_TYPE}`);
    const document = parsePolicyDocument(envelope.payload);
    return { bytes, envelope, document, payloadSha256: sha256Of(envelope.payload), envelopeSha256: sha256Of(bytes) };
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw refuse(cause.code === "POLICY" ? "policy-inconsistent" : "policy-malformed", cause.message, { cause });
  }
}

/** Which keys of accounts {@link findPolicySigners} must know: all that the document lists, and those that signed. */
export function keysToLookUp({ envelope, document }: HandedPolicy) {
  return {
    spkis: [...document.keys.values()].map(({ spki }) => spki),
    keyIds: envelope.signatures.map(({ keyId }) => keyId),
  };
}

/**
 * Who signed. Without the pins of a bridge nobody can say whether they are the right ones, or enough; but each signature
 * must be good, and lead to somebody by the document's own keys or by the accounts here. A key that is somebody's here is
 * nobody else's in the document.
 * @throws ProblemError policy-inconsistent, policy-signature
 */
export function findPolicySigners(
  { envelope, document }: HandedPolicy,
  accounts: readonly AccountKey[],
): PolicySigner[] {
  const owners = new Map(accounts.map(({ key, user }) => [spkiOf(key), user]));
  for (const [keyId, { spki, user }] of document.keys) {
    const owner = owners.get(spki);
    if (owner !== undefined && owner !== user)
      throw refuse("policy-inconsistent", `keys.${keyId}: it is ${owner}'s key, not ${user}'s`);
  }
  const listed = [...document.keys.values()];
  const known = [...listed, ...accounts.filter(({ counts }) => counts)];
  const users = new Map<string, string>(known.map(({ key, user }) => [canonicalKeyId(key), user]));
  return toSigners(
    findSigners(
      envelope,
      known.map(({ key }) => key),
    ),
    users,
  );
}

function toSigners(found: ReturnType<typeof findSigners>, users: ReadonlyMap<string, string>): PolicySigner[] {
  const signers = new Map<string, PolicySigner>();
  for (const { keyId, key } of found) {
    const user = users.get(keyId);
    if (user === undefined)
      throw refuse(
        "policy-signature",
        `a signature names the key ${keyId}, which neither the document lists nor an account here has proved`,
      );
    if (key === undefined) throw refuse("policy-signature", `the signature by the key ${keyId} of ${user} is not good`);
    if (signers.has(keyId)) throw refuse("policy-signature", `the key ${keyId} of ${user} signed twice`);
    signers.set(keyId, { keyId, user });
  }
  return [...signers.values()];
}

/** @throws ProblemError policy-expired */
export function mustBeCurrent({ document: { expiresAt } }: HandedPolicy, now: Date): void {
  if (now.getTime() < expiresAt.getTime()) return;
  throw refuse("policy-expired", `the policy expired at ${expiresAt.toISOString()}; draft a newer one`);
}

/** What must be known of the policy before. */
export interface Predecessor {
  readonly version: number;
  readonly payloadSha256: Buffer;
  readonly signers: readonly PolicySigner[];
}

/** So far one policy may be ahead of the one before: a slip, or malice, must not use up all numbers. */
const maxLeap = 1000;

/**
 * Versions go up; one number is one document, which may come again when more people have signed it.
 * @throws ProblemError policy-version
 */
export function mustFollow(
  handed: HandedPolicy,
  signers: readonly PolicySigner[],
  before: Predecessor | undefined,
): void {
  if (before === undefined) return;
  const { version } = handed.document;
  if (version > before.version + maxLeap)
    throw refuse("policy-version", `version ${version} is more than ${maxLeap} ahead of ${before.version}`);
  if (version > before.version) return;
  if (version < before.version || !handed.payloadSha256.equals(before.payloadSha256))
    throw refuse("policy-version", `version ${version} after version ${before.version}; draft it anew`);
  const ids = new Set(signers.map(({ keyId }) => keyId));
  if (ids.size > before.signers.length && before.signers.every(({ keyId }) => ids.has(keyId))) return;
  throw refuse("policy-version", `version ${version} is here already, with no fewer signatures`);
}

/** Whom the document names: they may read it. */
export function peopleIn({ document: { teams, keys } }: HandedPolicy): string[] {
  const inTeams = [...teams.values()].flatMap((users) => [...users]);
  return [...new Set([...inTeams, ...[...keys.values()].map(({ user }) => user)])].sort();
}
