import { ProblemError } from "../http/problem.ts";
import { OciError } from "../oci/error.ts";
import type { Json, JsonObject } from "../oci/json.ts";
import { namespaceOf } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { unpin } from "../storage/pins.ts";
import { openTagDigests } from "../storage/tag-digests.ts";
import { listApprovals } from "./approvals-store.ts";
import { carryOut } from "./carry-out.ts";
import { countApprovals } from "./counting.ts";
import type { PromotionDeps } from "./deps.ts";
import { holdPolicy } from "./policies-store.ts";
import {
  type Ending,
  endPromotion,
  lockPromotion,
  noteObstacle,
  type Promotion,
  PromotionsStore,
} from "./promotions-store.ts";
import { isSame } from "./terms.ts";

/**
 * Does what a promotion that waits has come to: it is approved by all who must, or has expired, or is of yesterday's image.
 * Whoever finds it first does it; what keeps it from being done is written down, and tried again later.
 */
export async function settle(deps: PromotionDeps, id: number): Promise<void> {
  const promotion = await new PromotionsStore(deps.database).find(id);
  if (promotion?.state !== "pending") return;
  const ending = await findEnding(deps, promotion);
  if (ending !== undefined) return end(deps, id, ending);
  const approvals = (await listApprovals(deps.database, [id])).get(id) ?? [];
  if ((await countApprovals(deps, deps.database, promotion, approvals)).missing.length > 0) return;
  await carryOutApproved(deps, promotion).catch(async (error: unknown) => {
    const reason = reasonOf(deps, error);
    if (reason === undefined) throw error;
    await noteObstacle(deps.database, id, reason);
  });
}

async function findEnding(deps: PromotionDeps, promotion: Promotion): Promise<Ending | undefined> {
  const { source, sourceTag, digest, expiresAt } = promotion;
  const at = deps.now();
  if (expiresAt <= at) return { state: "expired", reason: "not all approvals came in time", at };
  if (sourceTag === undefined) return undefined;
  const now = (await openTagDigests(deps.database).find(source, [sourceTag])).get(sourceTag);
  if (now === digest) return undefined;
  return { state: "superseded", reason: `${source}:${sourceTag} is ${now ?? "no image"} now`, at };
}

async function end(deps: PromotionDeps, id: number, ending: Ending): Promise<void> {
  await deps.database.transaction(async (sql) => {
    const promotion = await lockPromotion(sql, id);
    if (promotion?.state !== "pending") return;
    await closePromotion(sql, promotion, ending);
  });
}

/** It keeps nothing any more. */
export async function closePromotion(sql: Sql, { id, source, digest }: Promotion, ending: Ending): Promise<void> {
  await endPromotion(sql, id, ending);
  await unpin(sql, { repository: source, digest, kind: "promotion", owner: `asked ${id}` });
}

async function carryOutApproved(deps: PromotionDeps, { id, ...asked }: Promotion): Promise<void> {
  const { source, sourceTag, destination, digest, terms } = asked;
  const gates = await deps.judgeGates({ source, sourceTag, destination, digest, require: terms.require });
  const unmet = gates.filter(({ allowed }) => !allowed).flatMap(({ missing }) => missing);
  if (unmet.length > 0) return noteObstacle(deps.database, id, unmet.join("; "));
  await deps.database.transaction(async (sql) => {
    const promotion = await lockPromotion(sql, id);
    if (promotion?.state !== "pending") return;
    const targetId = await findTarget(sql, promotion);
    const at = deps.now();
    if (targetId === undefined)
      return closePromotion(sql, promotion, { state: "superseded", reason: "the policy was changed since", at });
    const approvals = (await listApprovals(sql, [id])).get(id) ?? [];
    const { counted, missing } = await countApprovals(deps, sql, promotion, approvals);
    if (missing.length > 0) return;
    const admission = { repositoryId: targetId, mayCreate: false };
    await carryOut(deps, sql, { promotion, admission, gates, approvers: counted });
    await unpin(sql, { repository: source, digest, kind: "promotion", owner: `asked ${id}` });
    await recordDeed(deps, sql, promotion, "promotion-done");
  });
  await deps.failpoint("promotion.afterCommit");
}

/** Undefined where the policy is not any more what was asked under. */
async function findTarget(sql: Sql, { policy, terms }: Promotion): Promise<number | undefined> {
  const now = policy && (await holdPolicy(sql, policy.id));
  const isOther = now === undefined || !isSame(gatesOf(now.terms), gatesOf(terms));
  return isOther ? undefined : now.accepted?.targetId;
}

const gatesOf = ({ approvals, require }: Promotion["terms"]): Json => ({ approvals, require }) as Json;

/** On record for both sides: no request did this. */
export async function recordDeed(deps: PromotionDeps, sql: Sql, promotion: Promotion, action: string): Promise<void> {
  const { id, source, sourceTag, destination, tag, digest, askedBy, policy } = promotion;
  const detail: JsonObject = {
    ...{ promotion: id, source: sourceTag === undefined ? source : `${source}:${sourceTag}` },
    ...{ destination: `${destination}:${tag}`, digest, ...(policy === undefined ? {} : { policy: policy.name }) },
  };
  const targets = namespaceOf(source) === namespaceOf(destination) ? [destination] : [source, destination];
  for (const target of targets) {
    const deed = { at: deps.now(), actor: askedBy, action, target, namespace: namespaceOf(target), detail };
    await deps.record(sql, deed);
  }
}

/** What people are told why it was not done; undefined for a fault. */
export function reasonOf({ refusalOf }: PromotionDeps, error: unknown): string | undefined {
  if (error instanceof ProblemError) return error.message;
  if (error instanceof OciError && !/^(UNAVAILABLE|INSUFFICIENT_STORAGE)$/.test(error.code)) return error.message;
  return refusalOf(error);
}
