import { z } from "zod";
import { etagOf, preconditionOf } from "../http/precondition.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { OciError } from "../oci/error.ts";
import { isNamespaceName, parseRepositoryName } from "../oci/repository-name.ts";
import { isTagPattern } from "../oci/tag-pattern.ts";
import type { AutoSignKey, AutoSignRule } from "../storage/auto-sign-rules.ts";
import type { Change } from "../storage/database.ts";
import { findRepository } from "../storage/repository-store.ts";
import type { TagSigner } from "../storage/tag-rows.ts";
import type { NotaryDeps } from "./deps.ts";
import { findObstacle, issueServerTarget, withdrawServerTarget } from "./server-target.ts";

const PULL: Access = { kind: "org-repository", action: "pull" };
const ADMIN: Access = { kind: "org-repository", action: "admin" };
const ALL = "/api/v1/orgs/<org>/repositories/<repo>/auto-sign";
const ONE = `${ALL}/<rule>`;

const patternSchema = z
  .string()
  .refine(isTagPattern, "a pattern is a tag in which * (four at most, and not ** ) is any characters: v*, latest");
const bodySchema = z.strictObject({
  tags: z.array(patternSchema).min(1).max(32).describe("which tags; * is any characters"),
});
const ruleSchema = z.strictObject({ name: z.string(), tags: z.array(z.string()) });

/** Tags that the server signs in `targets/goldseal-auto` as part of the push. */
export const autoSignOperations = (deps: NotaryDeps): RestOperation[] => [
  operation(["auto-sign-list", "GET", ALL, PULL], {
    summary: "The rules by which the server signs tags of a repository as part of their push.",
    query: pageQuery,
    answers: { 200: pageSchema("rules", ruleSchema) },
    act: listRules(deps),
  }),
  operation(["auto-sign-get", "GET", ONE, PULL], {
    summary: "One rule by which the server signs tags as part of their push.",
    answers: { 200: ruleSchema },
    act: getRule(deps),
  }),
  bodyOperation(["auto-sign-put", "PUT", ONE, ADMIN], {
    conditional: true,
    summary: `Sign tags as part of their push from now on: no push under a rule is answered before it is signed, and one that
      cannot be signed is refused. Trust data that nobody founded yet is founded by the first of them; where its owner does not
      let the server sign, the rule is refused.`,
    body: bodySchema,
    answers: { 200: ruleSchema, 201: ruleSchema },
    act: putRule(deps),
  }),
  operation(["auto-sign-delete", "DELETE", ONE, ADMIN], {
    conditional: true,
    summary: "Take a rule back. What was signed under it stays signed.",
    answers: { 204: undefined },
    act: deleteRule(deps),
  }),
];

/** What a push under a rule does to trust data. */
export function createTagSigner(deps: NotaryDeps): TagSigner {
  const { now } = deps;
  return {
    sign: (sql, target) => issueServerTarget(deps, sql, { ...target, purpose: "auto", now: now() }),
    withdraw: (sql, target) => withdrawServerTarget(deps, sql, { ...target, purpose: "auto", now: now() }),
  };
}

/** @throws OciError NAME_UNKNOWN */
function listRules({ database, autoSignRules }: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    const repository = repositoryOf(request);
    if ((await findRepository(database, repository)) === undefined) throw new OciError("NAME_UNKNOWN");
    return replyPage<AutoSignRule>(request, {
      name: "rules",
      keyOf: ({ name }) => name,
      toWire,
      read: (page) => autoSignRules.list(repository, page),
    });
  };
}

/** @throws OciError NAME_UNKNOWN */
function getRule({ autoSignRules }: NotaryDeps) {
  return async (request: Request, status = 200): Promise<Reply> => {
    const rule = await autoSignRules.find(keyOf(request));
    if (rule === undefined) throw new OciError("NAME_UNKNOWN");
    return json(status, toWire(rule), { ETag: etagOf(rule.version) });
  };
}

/** @throws OciError NAME_UNKNOWN; `trust-refused` where the server could not sign there */
function putRule(deps: NotaryDeps) {
  return async (request: Request, { tags }: z.infer<typeof bodySchema>): Promise<Reply> => {
    const key = keyOf(request);
    const made = await deps.autoSignRules.put(key, [...new Set(tags)], {
      ...changeOf(deps, request),
      prepare: async (sql) => {
        const found = await findObstacle(deps, sql, { repository: key.repository, purpose: "auto", now: deps.now() });
        if (found !== undefined) throw deps.refusal("trust-refused", found.message);
      },
    });
    if (made === undefined) throw new OciError("NAME_UNKNOWN");
    return getRule(deps)(request, made ? 201 : 200);
  };
}

/** @throws OciError NAME_UNKNOWN */
function deleteRule(deps: NotaryDeps) {
  return async (request: Request): Promise<Reply> => {
    const isGone = await deps.autoSignRules.delete(keyOf(request), changeOf(deps, request));
    if (!isGone) throw new OciError("NAME_UNKNOWN");
    return empty(204);
  };
}

function changeOf({ confirm, refusal }: NotaryDeps, request: Request): Change {
  const check = preconditionOf(request, (message) => refusal("precondition-failed", message));
  return { check, confirm: confirm(request) };
}

function keyOf(request: Request): AutoSignKey {
  const name = request.param("rule");
  if (!isNamespaceName(name)) throw request.badRequest("a name is 2 to 32 of a-z and 0-9, with single - or _ between");
  return { repository: repositoryOf(request), name };
}

function repositoryOf(request: Request) {
  return parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
}

function toWire({ name, tags }: AutoSignRule): z.infer<typeof ruleSchema> {
  return { name, tags: [...tags] };
}
