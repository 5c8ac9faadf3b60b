import { isFor, ownGun, type RowVerdict, type Signature } from "./counting.ts";
import type { Evidence, TagBinding } from "./evidence.ts";
import type { KeyOwner, People } from "./people.ts";
import type { EvidenceClass, RequireRow } from "./require.ts";
import { explainBinding, explainKey, explainRow } from "./sentences.ts";
import type { Subject } from "./subject.ts";
import { isServerRole } from "./tuf-evidence.ts";

export interface Requirement {
  /** All must be met; an empty list allows nothing. */
  readonly require: readonly RequireRow[];
  /** How old the server's word may be that a tag is current; undefined: as old as the files live. */
  readonly maxTimestampAgeSeconds: number | undefined;
  /** Whether the image's own GUN must say that the tag is this image. With a maximum age it must in any case. */
  readonly needsTag: boolean;
}

export interface VerdictInput {
  readonly subject: Subject;
  readonly evidence: readonly Evidence[];
  /** Of the image's own GUN; undefined where that says nothing. */
  readonly binding: TagBinding | undefined;
  readonly people: People;
  readonly requirement: Requirement;
  readonly now: Date;
}

export interface Verdict {
  readonly allowed: boolean;
  /** Everything that was signed, counted or not. */
  readonly signatures: readonly Signature[];
  readonly rows: readonly RowVerdict[];
  /** Why it is refused, a sentence each; empty when it is allowed. */
  readonly missing: readonly string[];
  /** When it must be judged again at the latest; undefined: nothing it rests on runs out. */
  readonly until: Date | undefined;
}

/** A server's clock may be ahead of ours. */
const SKEW_MS = 86_400_000;

/** No one is called so: it is no user name. */
const MACHINE = "(machine)";

/**
 * Whether the required people signed these bytes. It counts people, not keys, signatures or roles, and what it does not
 * know counts for nothing. Taking evidence away never allows more.
 * @see design.md rules 5 and 6
 */
export function judge(input: VerdictInput): Verdict {
  const { subject, requirement, binding } = input;
  const signatures = input.evidence.map((evidence) => judgeSignature(evidence, input));
  const rows = requirement.require.map((row) => judgeRow(row, signatures, input));
  const tag = judgeBinding(input);
  const missing = [
    ...(tag === undefined ? [] : [explainBinding(tag, subject)]),
    ...rows.filter(({ met }) => !met).map((row) => explainRow(row, signatures, subject)),
    ...(rows.length === 0 ? ["no rule says who must sign this image, so nobody can"] : []),
  ];
  const ends = [
    ...rows.map(({ endsMs }) => endsMs),
    ...(needsBinding(requirement) ? [endOf(binding, requirement)] : []),
  ];
  const until = Math.min(...ends);
  return {
    allowed: missing.length === 0,
    signatures,
    rows: rows.map(({ row, who, met }) => ({ row, who, met })),
    missing,
    until: missing.length === 0 && Number.isFinite(until) ? new Date(until) : undefined,
  };
}

function judgeSignature(evidence: Evidence, input: VerdictInput): Signature {
  const owner = input.people.get(evidence.spki);
  const refused = findDoubt(evidence, input) ?? explainKey(owner);
  return { evidence, owner, class: classOf(evidence, owner, input.people), refused };
}

function findDoubt({ digest, statement }: Evidence, input: VerdictInput): string | undefined {
  if (!input.subject.covering.has(digest)) return "is about something else";
  return statement && findStale(statement, input);
}

type Dated = Pick<TagBinding, "expiresAt" | "freshAt">;

/** T06: what has run out, is older than the policy lets it be, or comes from the future. */
function findStale({ expiresAt, freshAt }: Dated, { now, requirement }: VerdictInput): string | undefined {
  const age = now.getTime() - freshAt.getTime();
  const maxAge = (requirement.maxTimestampAgeSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  if (!(now.getTime() <= expiresAt.getTime())) return `has expired at ${expiresAt.toISOString()}`;
  if (!(age >= -SKEW_MS)) return "has a timestamp that was made in the future";
  if (!(age <= maxAge)) return `has a timestamp from ${freshAt.toISOString()}, which is too old here`;
  return undefined;
}

/**
 * A person's own key, in a GUN that no machine could have changed: otherwise the server says so, and no more. Without a
 * statement there is only the key.
 */
function classOf({ statement }: Evidence, owner: KeyOwner | undefined, people: People): EvidenceClass {
  if (owner?.kind !== "person") return "server-attested";
  if (statement === undefined) return "client-key";
  const isServers =
    isServerRole(statement.role) || [...statement.definedBy].some((spki) => people.get(spki)?.kind === "machine");
  return isServers ? "server-attested" : "client-key";
}

interface CountedRow extends RowVerdict {
  readonly endsMs: number;
}

function judgeRow(
  row: RequireRow,
  signatures: readonly Signature[],
  { subject, requirement }: VerdictInput,
): CountedRow {
  const ends = new Map<string, number>();
  for (const signature of signatures) {
    if (signature.refused !== undefined || !isFor(row, signature, subject)) continue;
    const name = signature.owner?.kind === "person" ? signature.owner.user : MACHINE;
    ends.set(name, Math.max(ends.get(name) ?? 0, endOf(signature.evidence.statement, requirement)));
  }
  // The row holds as long as k of them do.
  const endsMs = [...ends.values()].sort((a, b) => b - a)[row.k - 1] ?? 0;
  // k of nobody would be met by nobody's signature (as hardening N08).
  return { row, who: [...ends.keys()].sort(), met: row.k >= 1 && ends.size >= row.k, endsMs };
}

/** Whether the image's own GUN must say what the tag is. */
export const needsBinding = ({ needsTag, maxTimestampAgeSeconds }: Requirement): boolean =>
  needsTag || maxTimestampAgeSeconds !== undefined;

/** Why the tag is not known to be this image; undefined: it is, or nobody asked. */
function judgeBinding(input: VerdictInput): string | undefined {
  const { subject, binding, requirement } = input;
  if (!needsBinding(requirement)) return undefined;
  if (binding === undefined || binding.gun !== ownGun(subject)) return "says nothing of it";
  if (!isBound(binding, subject)) return `says that ${binding.tag} is ${binding.digest}`;
  return findStale(binding, input);
}

function isBound({ tag, digest }: TagBinding, subject: Subject): boolean {
  if (subject.tag === undefined) return subject.covering.has(digest);
  return tag === subject.tag && digest === subject.outermost;
}

/** When it stops to count, in milliseconds; what does not run out never does. */
function endOf(dated: Dated | undefined, { maxTimestampAgeSeconds }: Requirement): number {
  if (dated === undefined) return Number.POSITIVE_INFINITY;
  const staleMs = dated.freshAt.getTime() + (maxTimestampAgeSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  return Math.min(dated.expiresAt.getTime(), staleMs);
}
