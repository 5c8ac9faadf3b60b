/** What a verdict says to the person at a docker client: what is missing, and the command that would help. */

import { gunOfRow, isFor, ownGun, type RowVerdict, type Signature } from "./counting.ts";
import type { KeyOwner } from "./people.ts";
import type { RequireRow } from "./require.ts";
import type { Subject } from "./subject.ts";

/** Why a key counts for nobody; undefined: it counts. */
export function explainKey(owner: KeyOwner | undefined): string | undefined {
  if (owner === undefined) return "is by a key that belongs to nobody here";
  if (owner.kind === "machine") return undefined;
  if (owner.removed) return `is by a key that ${owner.user} has no more`;
  if (owner.suspended === true) return `is by ${owner.user}, whose account is suspended`;
  if (!owner.proved) return `is by a key that ${owner.user} has not proved to hold (goldseal key prove)`;
  return undefined;
}

/** @param doubt what the image's trust data says instead */
export function explainBinding(doubt: string, subject: Subject): string {
  return `the trust data of ${nameOf(subject)} ${doubt}; sign it: goldseal trust sign ${nameOf(subject)}`;
}

export function explainRow({ row, who }: RowVerdict, signatures: readonly Signature[], subject: Subject): string {
  const has = who.length === 0 ? "nobody" : who.join(", ");
  const misses = nearMisses(row, signatures, subject);
  const but = misses.length === 0 ? "" : ` (${misses.join("; ")})`;
  return `${subject.digest} must be signed by ${whoOf(row)}, and is by ${has}${but}; ${adviceOf(row, subject)}`;
}

/** `one person of team qa with their own key`. */
export function whoOf({ team, k, class: wanted }: RequireRow): string {
  const people = k === 1 ? "one person" : `${k} people`;
  const by =
    wanted === "client-key" ? "with their own key" : wanted === "either" ? "or the server" : "through the server";
  return `${people}${team === undefined ? "" : ` of team ${team}`} ${by}`;
}

/** The command that would help. */
export function adviceOf(row: RequireRow, subject: Subject): string {
  const gun = gunOfRow(row, subject);
  if (gun === undefined) return "the rule's GUN leads nowhere for this image";
  const name = gun === ownGun(subject) ? nameOf(subject) : `${gun}@${subject.outermost}`;
  return `one of them signs it with: goldseal trust sign ${name}`;
}

/** Signatures of the right people that count for something less, or for nothing. */
function nearMisses(row: RequireRow, signatures: readonly Signature[], subject: Subject): string[] {
  const sentences = signatures.flatMap((signature) => {
    const { owner, refused } = signature;
    const isTeams = owner?.kind === "person" && (row.team === undefined || owner.teams.has(row.team));
    if (!isTeams || (refused === undefined && isFor(row, signature, subject))) return [];
    return `a signature of ${owner.user} ${refused ?? whyNotFor(row, signature, subject)}`;
  });
  return [...new Set(sentences)].slice(0, 3);
}

function whyNotFor(row: RequireRow, { class: own, evidence }: Signature, subject: Subject): string {
  if (row.class !== "either" && row.class !== own) return `is ${own}`;
  const { gun, tag } = evidence.statement ?? {};
  // Who may pull the image may not see what another repository calls it.
  return gun === ownGun(subject) ? `is for ${gun}:${tag}` : `is in ${gun}`;
}

function nameOf({ authority, repository, tag, outermost }: Subject): string {
  return `${authority}/${repository}${tag === undefined ? `@${outermost}` : `:${tag}`}`;
}
