import type { Request } from "../http/request.ts";
import type { Digest } from "../oci/digest.ts";
import type { Json } from "../oci/json.ts";
import type { Tag } from "../oci/reference.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "../storage/database.ts";
import { pin } from "../storage/pins.ts";
import { findRepository } from "../storage/repository-store.ts";
import { openTagDigests } from "../storage/tag-digests.ts";
import { carryOut, holdDestination, withRefusals } from "./carry-out.ts";
import { type Course, findCovering } from "./covering.ts";
import type { GateVerdict, NeededRight, PromotionDeps } from "./deps.ts";
import { conflict, gatesNotMet } from "./errors.ts";
import { type ImageReference, parseImageReference } from "./image-reference.ts";
import { holdPolicy, listInForce } from "./policies-store.ts";
import { insertPromotion, type Promotion } from "./promotions-store.ts";
import { isSame, NO_GATES } from "./terms.ts";

/** How long approvals are waited for. */
export const pendingDays = 7;
const dayMs = 86_400_000;

/** What somebody wants to be promoted. */
interface Wish {
  readonly source: ImageReference;
  readonly sourceId: number;
  readonly digest: Digest;
  readonly destination: RepositoryName;
  readonly tag: Tag;
  /** Undefined: by rights on both sides. */
  readonly course: Course | undefined;
}

/**
 * Does it, or writes down that it waits for approvals. Where a policy of the source says just this, that and its gates count,
 * and no right on the destination is needed; else one needs the rights on both sides. Returns the promotion's id.
 * @throws ProblemError gates-not-met, already-asked, immutable-tag, source-moved
 */
export async function askPromotion(
  deps: PromotionDeps,
  request: Request,
  asked: { readonly source: string; readonly destination: string },
): Promise<number> {
  const [source, destination] = [parseImageReference(asked.source), parseImageReference(asked.destination)];
  if (source.tag === undefined && source.digest === undefined)
    throw request.badRequest("source: a tag or a digest is missing");
  if (destination.digest !== undefined) throw request.badRequest("destination: the digest is the source's");
  await mustBeLet(deps, request, [
    { repository: source.repository, action: "pull" },
    { repository: source.repository, action: "promote" },
  ]);
  const wish = await readWish(deps, request, source, destination);
  const gates = await judge(deps, wish);
  const id = await deps.database.transaction(async (sql) => {
    await deps.confirmRights(request, rightsOf(wish))(sql);
    return grant(deps, sql, request, wish, gates);
  });
  await deps.failpoint("promotion.afterCommit");
  return id;
}

/** Before anything is read that they may not know of; the transaction asks again. */
async function mustBeLet(deps: PromotionDeps, request: Request, needed: readonly NeededRight[]): Promise<void> {
  await deps.database.transaction((sql) => deps.judgeRights(request, needed)(sql));
}

async function readWish(
  deps: PromotionDeps,
  request: Request,
  source: ImageReference,
  { repository: destination, tag }: ImageReference,
): Promise<Wish> {
  const found = await findRepository(deps.database, source.repository);
  const digest = await resolve(deps, source);
  if (found === undefined || digest === undefined) throw deps.notFound();
  const at = deps.now();
  const policies = await listInForce(deps.database, found.id);
  const course = findCovering(policies, { sourceTag: source.tag, destination, tag, at });
  const finalTag = course?.tag ?? tag ?? source.tag;
  if (finalTag === undefined) throw request.badRequest("destination: an image without a tag needs one there");
  return { source, sourceId: found.id, digest, destination, tag: finalTag, course };
}

/** What it names now; undefined where it names nothing, or not the digest that it was given with. */
async function resolve(deps: PromotionDeps, { repository, tag, digest }: ImageReference): Promise<Digest | undefined> {
  const tags = openTagDigests(deps.database);
  if (tag === undefined) {
    const held = await tags.held(repository, digest === undefined ? [] : [digest]);
    return digest !== undefined && held.has(digest) ? digest : undefined;
  }
  const named = (await tags.find(repository, [tag])).get(tag);
  if (named !== undefined && digest !== undefined && named !== digest)
    throw conflict("source-moved", `${repository}:${tag} is ${named} by now, not ${digest}`);
  return named;
}

/** @throws ProblemError gates-not-met */
async function judge(
  deps: PromotionDeps,
  { source, digest, destination, course }: Wish,
): Promise<readonly GateVerdict[]> {
  const { require } = course?.policy.terms ?? NO_GATES;
  const question = { source: source.repository, sourceTag: source.tag, destination, digest, require };
  const verdicts = await withRefusals(deps.judgeGates(question));
  if (verdicts.some(({ allowed }) => !allowed)) throw gatesNotMet(verdicts);
  return verdicts;
}

function rightsOf({ source, destination, course }: Wish): NeededRight[] {
  const moved = [
    { repository: source.repository, action: "pull" } as const,
    { repository: source.repository, action: "promote" } as const,
  ];
  if (course !== undefined) return moved;
  // The answer must not tell a repository that is hidden from one that is missing.
  const hidden = "refused" as const;
  return [
    ...moved,
    { repository: destination, action: "push", hidden },
    { repository: destination, action: "promote", hidden },
  ];
}

async function grant(
  deps: PromotionDeps,
  sql: Sql,
  { actor }: Request,
  { source, sourceId, digest, destination, tag, course }: Wish,
  gates: readonly GateVerdict[],
): Promise<number> {
  const at = deps.now();
  const { approvals, require } = course?.policy.terms ?? NO_GATES;
  // Before its row is there, as by the policies' own work: who asks for the same at the same moment waits here.
  await holdDestination(sql, destination);
  const promotion = await insertPromotion(sql, {
    ...{
      sourceId,
      source: source.repository,
      sourceTag: source.tag,
      destination,
      tag,
      digest,
      terms: { approvals, require },
    },
    policy: course && { id: course.policy.id, name: course.policy.name },
    ...{ askedBy: actor.name, askedByUser: actor.kind === "user" ? actor.id : undefined, via: [] },
    ...{ askedAt: at, expiresAt: new Date(at.getTime() + pendingDays * dayMs) },
  });
  const targetId = course && (await mustBeInForce(sql, course));
  await beginOrDo(deps, sql, { promotion, targetId, gates });
  return promotion.id;
}

/** As it was read. @throws ProblemError policy-changed */
export async function mustBeInForce(sql: Sql, { policy }: Pick<Course, "policy">): Promise<number> {
  const now = await holdPolicy(sql, policy.id);
  if (now?.accepted === undefined || !isSame(now.terms as Json, policy.terms as Json))
    throw conflict("policy-changed", `the policy ${policy.name} of ${policy.source} was changed just now`);
  return now.accepted.targetId;
}

interface Begun {
  readonly promotion: Promotion;
  /** Undefined: whoever asks may make the repository. */
  readonly targetId: number | undefined;
  readonly gates: readonly GateVerdict[];
}

/** One that waits keeps its image from being collected. */
export async function beginOrDo(deps: PromotionDeps, sql: Sql, { promotion, targetId, gates }: Begun): Promise<void> {
  if (promotion.terms.approvals.length > 0) {
    const { id, source: repository, digest, expiresAt: until } = promotion;
    await pin(sql, { repository, digest, kind: "promotion", owner: `asked ${id}`, until });
    return;
  }
  const admission = { repositoryId: targetId, mayCreate: targetId === undefined };
  await carryOut(deps, sql, { promotion, admission, gates, approvers: [] });
}
