import { z } from "zod";
import type { Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, type RestOperation } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import type { Digest } from "../oci/digest.ts";
import { namespaceOf } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { recordImage } from "../storage/image-history.ts";
import { insertManifest } from "../storage/manifest-insert.ts";
import { unpin } from "../storage/pins.ts";
import { holdRepository } from "../storage/repository-store.ts";
import { lockTag } from "../storage/tag-rows.ts";
import { holdDestination, withRefusals } from "./carry-out.ts";
import { replyNow } from "./decisions-api.ts";
import type { PromotionDeps } from "./deps.ts";
import { conflict } from "./errors.ts";
import { promotionSchema } from "./promotion-wire.ts";
import { getPromotion, PROMOTIONS } from "./promotions-api.ts";
import { endPromotion, lockPromotion, type Promotion } from "./promotions-store.ts";
import { REVERSAL_TYPE, reversalStatement, sealStatement, statementManifest } from "./statement.ts";

const USER: Access = { kind: "user" };

/** Taking back. */
export const reverseOperations = (deps: PromotionDeps): RestOperation[] => [
  bodyOperation(["promotion-reverse", "POST", `${PROMOTIONS}/<promotion>/reversal`, USER], {
    summary: `Let the destination's tag be what it was before, or be gone, its trust data too. Refused once the tag is something
      else again. The image stays in the repository for as long as anything names it.`,
    body: z.strictObject({}),
    answers: { 200: promotionSchema },
    act: reverse(deps),
  }),
];

/** @throws ProblemError not-done, tag-moved, previous-gone, immutable-tag; whatever the trust data says against it */
function reverse(deps: PromotionDeps) {
  return async (request: Request): Promise<Reply> => {
    const { promotion } = await getPromotion(deps, request);
    const { destination: repository } = promotion;
    await deps.database.transaction(async (sql) => {
      const rights = ["push", "promote"] as const;
      await deps.confirmRights(
        request,
        rights.map((action) => ({ repository, action })),
      )(sql);
      await holdDestination(sql, repository);
      const locked = await lockPromotion(sql, promotion.id);
      if (locked?.state !== "done") throw conflict("not-done", `the promotion ${promotion.id} is ${locked?.state}`);
      await takeBack(deps, sql, locked, request.actor);
      await deps.failpoint("promotion.beforeCommit");
    });
    return replyNow(deps, request, promotion.id);
  };
}

async function takeBack(deps: PromotionDeps, sql: Sql, promotion: Promotion, actor: Request["actor"]): Promise<void> {
  const { id, destination, destinationId, tag, digest, previous } = promotion;
  const now = deps.now();
  if (destinationId === undefined || (await holdRepository(sql, destination)) !== destinationId)
    throw conflict("tag-moved", `${destination} is another repository by now`);
  const names = await lockTag(sql, destinationId, tag);
  if (names !== digest)
    throw conflict("tag-moved", `${destination}:${tag} is ${names ?? "no image"} by now, not ${digest}`);
  if (previous === digest) throw conflict("tag-moved", `${destination}:${tag} was ${digest} before, too`);
  await attest(deps, sql, promotion, { by: actor.name, now, destinationId });
  const target = { repository: destination, tags: [tag], now };
  if (previous === undefined) {
    await withRefusals(deps.removeTag(sql, destination, tag));
    await withRefusals(deps.withdrawTarget(sql, { ...target, digest }));
  } else {
    const size = await sizeOf(sql, promotion, previous);
    const move = { ...target, repositoryId: destinationId, digest: previous, size };
    await withRefusals(deps.moveTags(sql, move));
    await withRefusals(deps.issueTarget(sql, move));
    await unpin(sql, { repository: destination, digest: previous, kind: "promotion", owner: String(id) });
  }
  await endPromotion(sql, id, { state: "reversed", reason: `reversed by ${actor.name}`, at: now });
  await recordImage(sql, {
    ...{ repositoryId: destinationId, at: now, kind: "reversed", digest, tag },
    by: { name: actor.name, userId: actor.kind === "user" ? actor.id : undefined },
    detail: { promotion: id, ...(previous === undefined ? {} : { now: previous }) },
  });
}

interface Taker {
  readonly by: string;
  readonly now: Date;
  readonly destinationId: number;
}

/** Whoever finds the promotion's statement finds this one beside it. */
async function attest(
  deps: PromotionDeps,
  sql: Sql,
  promotion: Promotion,
  { by, now, destinationId }: Taker,
): Promise<void> {
  const { destination, digest } = promotion;
  const [subject] = await sql.query<{ mediaType: string; size: number }>(
    "reversal-subject",
    `select media_type as "mediaType", size from manifests where repository_id = $1 and digest = $2 for key share`,
    [destinationId, digest],
  );
  if (subject === undefined) throw conflict("tag-moved", `${digest} is not in ${destination} any more`);
  const signer = await deps.openSigner(sql, namespaceOf(destination), now);
  const envelope = sealStatement(reversalStatement({ promotion, authority: deps.authority, by, at: now }), signer);
  const manifest = statementManifest(envelope, { ...subject, digest }, { predicateType: REVERSAL_TYPE, at: now });
  await insertManifest(sql, destinationId, manifest, { failpoint: deps.failpoint, seeBytes: deps.seeBytes });
}

/** Bytes of the manifest. @throws ProblemError previous-gone */
async function sizeOf(sql: Sql, { destination, destinationId }: Promotion, digest: Digest): Promise<number> {
  const [row] = await sql.query<{ size: number }>(
    "reversal-previous",
    "select size from manifests where repository_id = $1 and digest = $2 for key share",
    [destinationId, digest],
  );
  if (row === undefined)
    throw conflict("previous-gone", `${digest}, which the tag was before, is not in ${destination} any more`);
  return row.size;
}
