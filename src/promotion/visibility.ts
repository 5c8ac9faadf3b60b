import type { Actor } from "../oci/access.ts";
import { findRepository } from "../storage/repository-store.ts";
import type { PromotionDeps } from "./deps.ts";
import type { Seen } from "./promotion-wire.ts";
import type { Promotion } from "./promotions-store.ts";

/**
 * What of it the actor may know: each side by the right to list it, all of it where they asked for it or may approve it.
 * Undefined: that there is such a promotion is hidden. Names stand for the repositories that had them then: of another one
 * that has the name since, nobody learns anything.
 */
export async function findSeen(deps: PromotionDeps, actor: Actor, promotion: Promotion): Promise<Seen | undefined> {
  const isOwn = promotion.askedByUser !== undefined && actor.kind === "user" && actor.id === promotion.askedByUser;
  if (isOwn || (await isApprover(deps, actor, promotion))) return { source: true, destination: true };
  const listable = await deps.listable(actor, [promotion.source, promotion.destination]);
  const [source, destination] = await Promise.all([
    findRepository(deps.database, promotion.source),
    findRepository(deps.database, promotion.destination),
  ]);
  const isPending = promotion.destinationId === undefined && promotion.state !== "done";
  const sees = {
    source: listable.has(promotion.source) && source?.id === promotion.sourceId,
    destination: listable.has(promotion.destination) && (destination?.id === promotion.destinationId || isPending),
  };
  return sees.source || sees.destination ? sees : undefined;
}

/** Whether one of the teams that are asked is theirs. */
export async function isApprover(deps: PromotionDeps, actor: Actor, { terms }: Promotion): Promise<boolean> {
  if (actor.kind !== "user" || terms.approvals.length === 0) return false;
  const teams = await deps.findTeams(deps.database, actor.id);
  return terms.approvals.some(({ team }) => teams.has(team));
}
