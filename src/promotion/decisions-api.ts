import { z } from "zod";
import { ProblemError } from "../http/problem.ts";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, type RestOperation } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import type { Actor } from "../oci/access.ts";
import { gunOfRepository } from "../oci/gun.ts";
import { recordImage } from "../storage/image-history.ts";
import { type Approval, verifyApproval } from "../trust/approval.ts";
import { envelopeSchema } from "../trust/dsse.ts";
import { TrustError } from "../trust/error.ts";
import { insertApproval } from "./approvals-store.ts";
import type { PromotionDeps } from "./deps.ts";
import { conflict } from "./errors.ts";
import { promotionSchema } from "./promotion-wire.ts";
import { describe, getPromotion, PROMOTIONS } from "./promotions-api.ts";
import { lockPromotion, type Promotion, PromotionsStore } from "./promotions-store.ts";
import { closePromotion, settle } from "./settle.ts";
import { findSeen, isApprover } from "./visibility.ts";

/** The handler asks who may: it depends on what the promotion asks for. */
const USER: Access = { kind: "user" };
const ONE = `${PROMOTIONS}/<promotion>`;

const rejectBody = z.strictObject({ reason: z.string().max(500).default("") });

/** What people say to a promotion that waits. */
export const decisionsOperations = (deps: PromotionDeps): RestOperation[] => [
  bodyOperation(["promotion-approve", "POST", `${ONE}/approvals`, USER], {
    summary: `Approve a promotion with a statement that you signed (DSSE); with the last one that is asked for it is done. Nobody
      approves what they asked for, and nobody twice.`,
    body: envelopeSchema,
    answers: { 200: promotionSchema },
    act: approve(deps),
  }),
  bodyOperation(["promotion-reject", "POST", `${ONE}/rejection`, USER], {
    summary:
      "Reject a promotion that waits: whoever may approve it, asked for it, or administers one of its repositories.",
    body: rejectBody,
    answers: { 200: promotionSchema },
    act: reject(deps),
  }),
];

/** @throws ProblemError not-pending, own-asking, not-an-approver, bad-approval, already-approved */
function approve(deps: PromotionDeps) {
  return async (request: Request, envelope: z.infer<typeof envelopeSchema>): Promise<Reply> => {
    const { promotion } = await getPromotion(deps, request);
    const { actor } = request;
    await mustBeApprover(deps, actor, promotion);
    const bytes = Buffer.from(JSON.stringify(envelope));
    await deps.database.transaction(async (sql) => {
      request.about = promotion.destination;
      await deps.confirm(request)(sql);
      const locked = await lockPromotion(sql, promotion.id);
      mustBePending(deps, locked);
      await mustBeApprover(deps, actor, promotion);
      const keys = await deps.findKeys(sql, actor.id);
      const keySha256 = verify(deps, promotion, bytes, keys);
      const at = deps.now();
      const who = { userId: actor.id, user: actor.name };
      await insertApproval(sql, { promotionId: promotion.id, ...who, keySha256, envelope: bytes, at });
      await recordImage(sql, {
        ...{
          repositoryId: promotion.sourceId,
          at,
          kind: "approved",
          digest: promotion.digest,
          tag: promotion.sourceTag,
        },
        by: { name: actor.name, userId: actor.id },
        detail: { promotion: promotion.id },
      });
    });
    await deps.failpoint("promotion.afterApproval");
    await settle(deps, promotion.id);
    return replyNow(deps, request, promotion.id);
  };
}

async function mustBeApprover(deps: PromotionDeps, actor: Actor, promotion: Promotion): Promise<void> {
  const teams = promotion.terms.approvals.map(({ team }) => team);
  if (!(await isApprover(deps, actor, promotion)))
    throw new ProblemError(
      403,
      "not-an-approver",
      `${actor.name} is in none of the teams that approve this: ${teams.join(", ") || "none do"}`,
    );
  if (promotion.askedByUser === actor.id)
    throw new ProblemError(
      403,
      "own-asking",
      `${actor.name} asked for this, and so cannot approve it: it takes somebody else`,
    );
}

function mustBePending(deps: PromotionDeps, promotion: Promotion | undefined): asserts promotion is Promotion {
  if (promotion === undefined) throw deps.notFound();
  if (promotion.state === "pending" && promotion.expiresAt > deps.now()) return;
  const state = promotion.state === "pending" ? "expired" : promotion.state;
  throw conflict("not-pending", `the promotion ${promotion.id} is ${state}`);
}

/** @throws ProblemError bad-approval */
function verify(
  deps: PromotionDeps,
  promotion: Promotion,
  envelope: Buffer,
  keys: Parameters<typeof verifyApproval>[2],
) {
  try {
    return verifyApproval(envelope, approvalOf(deps, promotion), keys);
  } catch (cause) {
    if (!(cause instanceof TrustError)) throw cause;
    throw new ProblemError(400, "bad-approval", cause.message, { cause });
  }
}

function approvalOf({ authority }: PromotionDeps, { id, digest, source, destination, tag }: Promotion): Approval {
  const gunOf = (repository: typeof source) => gunOfRepository(repository, authority);
  return { promotion: id, digest, source: gunOf(source), destination: gunOf(destination), tag };
}

/** @throws ProblemError not-pending; OrgsError forbidden */
function reject(deps: PromotionDeps) {
  return async (request: Request, { reason }: z.infer<typeof rejectBody>): Promise<Reply> => {
    const { promotion } = await getPromotion(deps, request);
    const { actor } = request;
    if (!(await mayReject(deps, actor, promotion)))
      throw new ProblemError(403, "not-an-approver", `${actor.name} can neither approve nor withdraw this promotion`);
    await deps.database.transaction(async (sql) => {
      request.about = promotion.destination;
      await deps.confirm(request)(sql);
      const locked = await lockPromotion(sql, promotion.id);
      mustBePending(deps, locked);
      const at = deps.now();
      const text = `rejected by ${actor.name}${reason === "" ? "" : `: ${reason}`}`;
      await closePromotion(sql, locked, { state: "rejected", reason: text, at });
      await recordImage(sql, {
        ...{ repositoryId: locked.sourceId, at, kind: "rejected", digest: locked.digest, tag: locked.sourceTag },
        by: { name: actor.name, userId: actor.kind === "user" ? actor.id : undefined },
        detail: { promotion: locked.id, reason },
      });
    });
    return replyNow(deps, request, promotion.id);
  };
}

async function mayReject(deps: PromotionDeps, actor: Actor, promotion: Promotion): Promise<boolean> {
  if (actor.kind === "user" && actor.id === promotion.askedByUser) return true;
  if (await isApprover(deps, actor, promotion)) return true;
  const sides = [promotion.source, promotion.destination];
  const decisions = await Promise.all(sides.map((name) => deps.authorize(actor, name, "admin")));
  return decisions.some(({ allowed }) => allowed);
}

export async function replyNow(deps: PromotionDeps, request: Request, id: number): Promise<Reply> {
  const promotion = await new PromotionsStore(deps.database).find(id);
  if (promotion === undefined) throw deps.notFound();
  const sees = await findSeen(deps, request.actor, promotion);
  return json(200, await describe(deps, promotion, sees ?? { source: true, destination: true }));
}
