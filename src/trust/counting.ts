import { gunOfRepository } from "../oci/gun.ts";
import type { Evidence } from "./evidence.ts";
import { fillGunTemplate } from "./image-pattern.ts";
import type { KeyOwner } from "./people.ts";
import type { EvidenceClass, RequireRow } from "./require.ts";
import type { Subject } from "./subject.ts";

/** A signature and what it is worth. */
export interface Signature {
  readonly evidence: Evidence;
  /** Undefined: a stranger's key. */
  readonly owner: KeyOwner | undefined;
  readonly class: EvidenceClass;
  /** Why it counts for nothing; undefined: it counts. */
  readonly refused: string | undefined;
}

export interface RowVerdict {
  readonly row: RequireRow;
  /** Users by name who count; `(machine)` for servers and robots together. */
  readonly who: readonly string[];
  readonly met: boolean;
}

/** Whether this signature, if it counts at all, is one that the row asks for. */
export function isFor(row: RequireRow, { owner, class: own, evidence }: Signature, subject: Subject): boolean {
  if (row.class !== "either" && row.class !== own) return false;
  if (row.team !== undefined && !(owner?.kind === "person" && owner.teams.has(row.team))) return false;
  const { statement } = evidence;
  if (statement === undefined) return true;
  if (statement.gun !== gunOfRow(row, subject)) return false;
  // In the image's own GUN the tag is what was signed; in another one the image has another tag.
  return statement.gun !== ownGun(subject) || subject.tag === undefined || statement.tag === subject.tag;
}

/** The GUN where the row looks for signatures; undefined where its template leads nowhere. */
export function gunOfRow({ gun }: RequireRow, subject: Pick<Subject, "repository" | "authority">): string | undefined {
  if (gun === undefined) return ownGun(subject);
  const repository = fillGunTemplate(gun, subject.repository);
  return repository && gunOfRepository(repository, subject.authority);
}

/** Where the image's own trust data is. */
export const ownGun = ({ repository, authority }: Pick<Subject, "repository" | "authority">): string =>
  gunOfRepository(repository, authority);
