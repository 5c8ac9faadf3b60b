import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import { pageQuery, pageSchema } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { listApprovals } from "./approvals-store.ts";
import { askPromotion } from "./ask.ts";
import type { PromotionDeps } from "./deps.ts";
import { promotionSchema, type Seen, toWire } from "./promotion-wire.ts";
import { PROMOTION_STATES, type Promotion, PromotionsStore } from "./promotions-store.ts";
import { findSeen } from "./visibility.ts";

/** The handler asks for the rights, on two repositories that the body names. */
const USER: Access = { kind: "user" };
export const PROMOTIONS = "/api/v1/promotions";

const askBody = z.strictObject({
  source: z.string().max(512).describe("dev/app:1.4, or dev/app@sha256:…"),
  destination: z.string().max(512).describe("qa/app:1.4; without a tag it is the policy's, else the source's"),
});

const listQuery = pageQuery.extend({
  after: z
    .string()
    .regex(/^\d{1,15}$/, "an id")
    .optional()
    .describe("the id of the last entry of the page before"),
  source: z.string().max(255).optional().describe("a repository"),
  destination: z.string().max(255).optional().describe("a repository"),
  digest: z.string().max(255).optional(),
  state: z.enum(PROMOTION_STATES).optional(),
});

/** Moving images on. */
export const promotionsOperations = (deps: PromotionDeps): RestOperation[] => [
  bodyOperation(["promotion-ask", "POST", PROMOTIONS, USER], {
    summary: `Promote an image: the very same digest into another repository, with all that refers to it, signed for there. Done
      at once (201), or once it is approved (202).`,
    body: askBody,
    answers: { 201: promotionSchema, 202: promotionSchema },
    act: async (request, body) => {
      const id = await askPromotion(deps, request, body);
      return replyAsked(deps, request, id);
    },
  }),
  operation(["promotions-list", "GET", PROMOTIONS, USER], {
    summary: "The promotions that you may know of, newest first.",
    query: listQuery,
    answers: { 200: pageSchema("promotions", promotionSchema) },
    act: listPromotions(deps),
  }),
  operation(["promotion-get", "GET", `${PROMOTIONS}/<promotion>`, USER], {
    summary: "One promotion.",
    answers: { 200: promotionSchema },
    act: async (request) => {
      const { promotion, sees } = await getPromotion(deps, request);
      return json(200, await describe(deps, promotion, sees));
    },
  }),
];

async function replyAsked(deps: PromotionDeps, request: Request, id: number): Promise<Reply> {
  const promotion = await new PromotionsStore(deps.database).find(id);
  const sees = promotion && (await findSeen(deps, request.actor, promotion));
  if (promotion === undefined) throw deps.notFound();
  const wire = await describe(deps, promotion, sees ?? { source: true, destination: true });
  return json(promotion.state === "pending" ? 202 : 201, wire, { Location: `${PROMOTIONS}/${id}` });
}

export async function describe(deps: PromotionDeps, promotion: Promotion, sees: Seen) {
  const approvals = await listApprovals(deps.database, [promotion.id]);
  return toWire(promotion, approvals.get(promotion.id) ?? [], sees);
}

/** Of the path, as far as the sender may see it. Throws the protocol's not found. */
export async function getPromotion(
  deps: PromotionDeps,
  request: Request,
): Promise<{ promotion: Promotion; sees: Seen }> {
  const text = request.param("promotion");
  const promotion = /^[1-9]\d{0,14}$/.test(text)
    ? await new PromotionsStore(deps.database).find(Number(text))
    : undefined;
  const sees = promotion && (await findSeen(deps, request.actor, promotion));
  if (promotion === undefined || sees === undefined) throw deps.notFound();
  return { promotion, sees };
}

const maxId = 2n ** 62n;
type Visible = readonly [promotion: Promotion, sees: Seen];

/** What is hidden counts for no page. */
function listPromotions(deps: PromotionDeps) {
  const store = new PromotionsStore(deps.database);
  return async (request: Request): Promise<Reply> => {
    const { after, limit, ...filter } = readQuery(request, listQuery);
    const shown: Visible[] = [];
    let before = after === undefined ? maxId : BigInt(after);
    while (shown.length <= limit) {
      const found = await store.list({ before, limit: limit + 1, ...filter });
      shown.push(...(await visibleOf(deps, request, found, filter)));
      const last = found.at(-1);
      if (last === undefined || found.length <= limit) break;
      before = BigInt(last.id);
    }
    const page = shown.slice(0, limit);
    const approvals = await listApprovals(
      deps.database,
      page.map(([{ id }]) => id),
    );
    const wire = { promotions: page.map(([one, sees]) => toWire(one, approvals.get(one.id) ?? [], sees)) };
    const last = page.at(-1);
    if (last === undefined || shown.length <= limit) return json(200, wire);
    const given = Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
    const query = new URLSearchParams([...given, ["after", String(last[0].id)], ["limit", String(limit)]]);
    const next = `${request.path}?${query}`;
    return json(200, { ...wire, next }, { Link: `<${next}>; rel="next"` });
  };
}

/** Whoever filters by a name must not learn by it what is hidden from them. */
async function visibleOf(
  deps: PromotionDeps,
  { actor }: Request,
  found: readonly Promotion[],
  { source, destination }: { readonly source?: string | undefined; readonly destination?: string | undefined },
): Promise<Visible[]> {
  const seen = await Promise.all(found.map(async (one) => [one, await findSeen(deps, actor, one)] as const));
  return seen.flatMap(([one, sees]) => {
    const isHidden =
      sees === undefined || (source !== undefined && !sees.source) || (destination !== undefined && !sees.destination);
    return isHidden ? [] : [[one, sees] as const];
  });
}
