import { z } from "zod";
import { etagOf, preconditionOf } from "../http/precondition.ts";
import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import type { Access } from "../http/route.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { isTagPattern } from "../oci/tag-pattern.ts";
import { ImmutableTagsStore } from "../storage/immutable-tags.ts";
import type { PromotionDeps } from "./deps.ts";

const LIST: Access = { kind: "org-repository", action: "list" };
const ADMIN: Access = { kind: "org-repository", action: "admin" };
const PATH = "/api/v1/orgs/<org>/repositories/<repo>/immutable-tags";

const patternsSchema = z.strictObject({
  patterns: z
    .array(z.string().refine(isTagPattern, "a tag, where * stands for any characters"))
    .max(64)
    .describe("a tag that matches never names another image; signatures of cosign are not meant"),
});

/** Tags that stay what they are. */
export const immutableTagsOperations = (deps: PromotionDeps): RestOperation[] => [
  operation(["immutable-tags-get", "GET", PATH, LIST], {
    summary: "The patterns of tags that no push, deletion or promotion moves.",
    answers: { 200: patternsSchema },
    act: getPatterns(deps),
  }),
  bodyOperation(["immutable-tags-put", "PUT", PATH, ADMIN], {
    conditional: true,
    summary: "Fix tags, or free them again: only those that match stay what they are.",
    body: patternsSchema,
    answers: { 200: patternsSchema },
    act: putPatterns(deps),
  }),
];

function getPatterns({ database, notFound }: PromotionDeps) {
  const store = new ImmutableTagsStore(database);
  return async (request: Request): Promise<Reply> => {
    const found = await store.find(repositoryOf(request));
    if (found === undefined) throw notFound();
    return json(200, { patterns: found.patterns }, { ETag: etagOf(found.version) });
  };
}

function putPatterns(deps: PromotionDeps) {
  const store = new ImmutableTagsStore(deps.database);
  return async (request: Request, { patterns }: z.infer<typeof patternsSchema>): Promise<Reply> => {
    const check = preconditionOf(request, deps.preconditionFailed);
    await store.put(repositoryOf(request), patterns, { check, confirm: deps.confirm(request) });
    return getPatterns(deps)(request);
  };
}

export function repositoryOf(request: Request) {
  return parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
}
