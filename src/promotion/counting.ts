import { spkiOf } from "../notary/tuf/key.ts";
import type { Sql } from "../storage/database.ts";
import type { Approval } from "./approvals-store.ts";
import type { PromotionDeps } from "./deps.ts";
import type { Promotion } from "./promotions-store.ts";

/** The approvals that count now, and what is missing still. */
export interface Count {
  readonly counted: readonly Approval[];
  /** A sentence for each team that has not agreed. */
  readonly missing: readonly string[];
}

/**
 * By what is so now: an approver has to be in the team still, and their key must not have been removed. Whoever asked counts
 * for nothing (four eyes), and each person is one, however many teams they are in: for each of these.
 */
export async function countApprovals(
  deps: Pick<PromotionDeps, "findTeams" | "findKeys">,
  sql: Sql,
  { terms, askedByUser }: Pick<Promotion, "terms" | "askedByUser">,
  approvals: readonly Approval[],
): Promise<Count> {
  const people: { approval: Approval; teams: ReadonlySet<string> }[] = [];
  for (const approval of approvals) {
    if (approval.userId === askedByUser) continue;
    const keys = await deps.findKeys(sql, approval.userId);
    if (!keys.some((key) => spkiOf(key) === approval.keySha256)) continue;
    people.push({ approval, teams: await deps.findTeams(sql, approval.userId) });
  }
  const missing = terms.approvals.flatMap(({ team, k }) => {
    const count = people.filter(({ teams }) => teams.has(team)).length;
    return count >= k ? [] : [`${count} of ${k} from ${team}`];
  });
  const counted = people
    .filter(({ teams }) => terms.approvals.some(({ team }) => teams.has(team)))
    .map(({ approval }) => approval);
  return { counted, missing };
}
