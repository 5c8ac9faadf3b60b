import { z } from "zod";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { operation, type RestOperation, readQuery } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import { type Digest, parseDigest } from "../oci/digest.ts";
import { namespaceOf } from "../oci/repository-name.ts";
import { openTagDigests } from "../storage/tag-digests.ts";
import type { HistoryEntry, PromotionDeps, Shown } from "./deps.ts";
import { parseImageReference } from "./image-reference.ts";

/** The handler shows of each repository what may be listed there. */
const USER: Access = { kind: "user" };

const historyQuery = z.object({
  digest: z.string().max(255).optional(),
  image: z.string().max(512).optional().describe("in place of the digest: dev/app:1.4"),
  limit: z.coerce.number().int().min(1).max(1000).default(200).describe("the newest"),
});

const entrySchema = z.strictObject({
  at: z.iso.datetime(),
  kind: z.string().describe("pushed, signed, revoked, attached, approved, rejected, promoted, reversed, deployed, …"),
  repository: z.string(),
  tag: z.string().nullable(),
  by: z.array(z.string()).describe("users, robots"),
  teams: z
    .array(z.string())
    .describe(
      "qa/testers: of a signature, those that its signers are in now; none for who is not of the repository's organization",
    ),
  from: z.string().nullable().describe("of a promotion, where it came from; null also where that is hidden from you"),
  detail: z.record(z.string(), z.unknown()),
});

/** One image, wherever it went. */
export const historyOperations = (deps: PromotionDeps): RestOperation[] => [
  operation(["image-history", "GET", "/api/v1/history", USER], {
    summary: `What happened to one image (by its digest) in all repositories that you may see: pushed, signed, promoted, deployed;
      the oldest first.`,
    query: historyQuery,
    answers: { 200: z.strictObject({ digest: z.string(), history: z.array(entrySchema) }) },
    act: getHistory(deps),
  }),
];

function getHistory(deps: PromotionDeps) {
  return async (request: Request): Promise<Reply> => {
    const { limit, ...asked } = readQuery(request, historyQuery);
    const digest = await resolve(deps, request, asked);

    const newestFirst = await Promise.all(deps.history.map((read) => read({ digest, limit })));
    // Sorting keeps the order of what happened in one millisecond, so each comes with its oldest first.
    const found = newestFirst.flatMap((entries) => entries.toReversed());
    const names = [
      ...new Set(found.flatMap(({ repository, from }) => [repository, ...(from ? [from.repository] : [])])),
    ];
    const shown = await deps.listable(request.actor, names);

    const history = found
      .filter(({ repository }) => shown.has(repository))
      .sort((a, b) => a.at.getTime() - b.at.getTime())
      .slice(-limit);
    const insiders = await findInsiders(deps, request, history);
    return json(200, { digest, history: history.map((entry) => toWire(entry, { shown, insiders })) });
  };
}

/** Of the organizations of these repositories those that they are of. */
async function findInsiders(
  { belongsTo }: PromotionDeps,
  { actor }: Request,
  entries: readonly HistoryEntry[],
): Promise<ReadonlySet<string>> {
  const orgs = [
    ...new Set(entries.filter(({ teams }) => teams.length > 0).map(({ repository }) => namespaceOf(repository))),
  ];
  const known = await Promise.all(orgs.map((org) => belongsTo(actor, org)));
  return new Set(orgs.filter((_, index) => known[index]));
}

/** Throws the protocol's bad request, or not found for an image that they may not see, or that is not there. */
async function resolve(
  deps: PromotionDeps,
  request: Request,
  { digest, image }: { readonly digest?: string | undefined; readonly image?: string | undefined },
): Promise<Digest> {
  if ((digest === undefined) === (image === undefined)) throw request.badRequest("name one image: digest=… or image=…");
  if (digest !== undefined) return parse(request, digest);
  const reference = parseImageReference(image ?? "");
  if (reference.digest !== undefined) return reference.digest;
  const { repository, tag } = reference;
  if (tag === undefined) throw request.badRequest("image: a tag or a digest is missing");
  const isShown = (await deps.listable(request.actor, [repository])).has(repository);
  const found = isShown ? (await openTagDigests(deps.database).find(repository, [tag])).get(tag) : undefined;
  if (found === undefined) throw deps.notFound();
  return found;
}

function parse(request: Request, text: string): Digest {
  try {
    return parseDigest(text);
  } catch (error) {
    throw request.badRequest(error instanceof Error ? error.message : "digest");
  }
}

interface Sight {
  readonly shown: Shown;
  /** Organizations whose teams they may know. */
  readonly insiders: ReadonlySet<string>;
}

function toWire({ at, kind, repository, tag, by, teams, from, detail }: HistoryEntry, { shown, insiders }: Sight) {
  const origin = from !== undefined && shown.has(from.repository) ? from : undefined;
  return {
    ...{ at: at.toISOString(), kind, repository, tag: tag ?? null, by, detail },
    teams: insiders.has(namespaceOf(repository)) ? teams : [],
    from: origin === undefined ? null : `${origin.repository}${origin.tag === undefined ? "" : `:${origin.tag}`}`,
  };
}
