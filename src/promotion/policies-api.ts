import { z } from "zod";
import { etagOf, preconditionOf } from "../http/precondition.ts";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import { isNamespaceName, type RepositoryName } from "../oci/repository-name.ts";
import { findRepository } from "../storage/repository-store.ts";
import type { PromotionDeps } from "./deps.ts";
import { repositoryOf } from "./immutable-tags-api.ts";
import { PoliciesStore, type Policy } from "./policies-store.ts";
import { termsSchema } from "./terms.ts";

const ADMIN: Access = { kind: "org-repository", action: "admin" };
const REPOSITORY = "/api/v1/orgs/<org>/repositories/<repo>";
const POLICIES = `${REPOSITORY}/promotion-policies`;
const OFFERS = `${REPOSITORY}/promotion-offers`;

const policyBody = termsSchema.extend({ enabled: z.boolean().default(true) });

const policySchema = termsSchema.extend({
  name: z.string(),
  enabled: z.boolean(),
  setBy: z.string(),
  setAt: z.iso.datetime(),
  acceptedBy: z
    .string()
    .nullable()
    .describe("who administers the target and agreed to just this; null: nobody, and it does nothing"),
});
const offerSchema = policySchema.extend({
  id: z.int(),
  source: z.string(),
  version: z.string().describe("what to agree to: it changes with the policy"),
});

/** What moves images on by itself, and what the other side says to it. */
export const policiesOperations = (deps: PromotionDeps): RestOperation[] => [
  operation(["promotion-policies-list", "GET", POLICIES, ADMIN], {
    summary: "The policies that move images on from a repository.",
    query: pageQuery,
    answers: { 200: pageSchema("policies", policySchema) },
    act: listPolicies(deps),
  }),
  operation(["promotion-policy-get", "GET", `${POLICIES}/<policy>`, ADMIN], {
    summary: "One policy.",
    answers: { 200: policySchema },
    act: getPolicy(deps),
  }),
  bodyOperation(["promotion-policy-put", "PUT", `${POLICIES}/<policy>`, ADMIN], {
    conditional: true,
    summary: `Let tags that match be promoted, as they come in or are signed: whoever pushes needs no right at the target. It works
      once an administrator of the target has agreed to it; who sets it agrees at once where they are that too.`,
    body: policyBody,
    answers: { 200: policySchema, 201: policySchema },
    act: putPolicy(deps),
  }),
  operation(["promotion-policy-delete", "DELETE", `${POLICIES}/<policy>`, ADMIN], {
    conditional: true,
    summary: "End a policy.",
    answers: { 204: undefined },
    act: deletePolicy(deps),
  }),
  operation(["promotion-offers-list", "GET", OFFERS, ADMIN], {
    summary: "The policies of other repositories that want to bring images into this one.",
    query: pageQuery,
    answers: { 200: pageSchema("offers", offerSchema) },
    act: listOffers(deps),
  }),
  bodyOperation(["promotion-offer-accept", "PUT", `${OFFERS}/<offer>/acceptance`, ADMIN], {
    conditional: true,
    summary: "Agree to a policy as it was listed; a change of it has to be agreed to again.",
    body: z.strictObject({ version: z.string() }),
    answers: { 204: undefined },
    act: (request, { version }) => answerOffer(deps, request, version),
  }),
  operation(["promotion-offer-refuse", "DELETE", `${OFFERS}/<offer>/acceptance`, ADMIN], {
    conditional: true,
    summary: "Agree to a policy no longer.",
    answers: { 204: undefined },
    act: (request) => answerOffer(deps, request, undefined),
  }),
];

function listPolicies({ database, notFound }: PromotionDeps) {
  const store = new PoliciesStore(database);
  return async (request: Request): Promise<Reply> => {
    const source = repositoryOf(request);
    if ((await findRepository(database, source)) === undefined) throw notFound();
    return replyPage<Policy>(request, {
      ...{ name: "policies", keyOf: ({ name }) => name, toWire },
      read: (page) => store.list(source, page),
    });
  };
}

function getPolicy({ database, notFound }: PromotionDeps) {
  const store = new PoliciesStore(database);
  return async (request: Request, status = 200): Promise<Reply> => {
    const found = await store.find({ source: repositoryOf(request), name: policyParam(request) });
    if (found === undefined) throw notFound();
    return json(status, toWire(found), { ETag: etagOf(found.version) });
  };
}

function putPolicy(deps: PromotionDeps) {
  const store = new PoliciesStore(deps.database);
  return async (request: Request, { enabled, ...terms }: z.infer<typeof policyBody>): Promise<Reply> => {
    const [source, name] = [repositoryOf(request), policyParam(request)];
    const target = terms.targetRepository as RepositoryName;
    if (target === source && terms.tagTemplate === "%n")
      throw request.badRequest("tagTemplate: it would lead nowhere else");
    const made = await store.put({
      ...{ source, name, enabled, terms, by: request.actor.name, at: deps.now() },
      agrees: async () => (await deps.authorize(request.actor, target, "admin")).allowed,
      ...changeOf(deps, request),
    });
    return getPolicy(deps)(request, made ? 201 : 200);
  };
}

function deletePolicy(deps: PromotionDeps) {
  const store = new PoliciesStore(deps.database);
  return async (request: Request): Promise<Reply> => {
    const policy = { source: repositoryOf(request), name: policyParam(request) };
    if (!(await store.delete({ ...policy, ...changeOf(deps, request) }))) throw deps.notFound();
    return empty(204);
  };
}

function listOffers({ database, notFound }: PromotionDeps) {
  const store = new PoliciesStore(database);
  return async (request: Request): Promise<Reply> => {
    const target = repositoryOf(request);
    if ((await findRepository(database, target)) === undefined) throw notFound();
    return replyPage<Policy>(request, {
      name: "offers",
      keyOf: ({ id }) => String(id),
      toWire: (policy) => ({ ...toWire(policy), id: policy.id, source: policy.source, version: policy.version }),
      read: ({ after, limit }) => {
        if (!/^\d{0,15}$/.test(after)) throw request.badRequest("after is what an answer called next");
        return store.listOffers(target, Number(after), limit);
      },
    });
  };
}

/** @param version what is agreed to; undefined: it is not, any more. */
async function answerOffer(deps: PromotionDeps, request: Request, version: string | undefined): Promise<Reply> {
  const text = request.param("offer");
  const id = /^[1-9]\d{0,14}$/.test(text) ? Number(text) : 0;
  const accepted = version === undefined ? undefined : { by: request.actor.name, at: deps.now() };
  const { check, confirm } = changeOf(deps, request);
  const change = {
    confirm,
    check: (there: string | undefined): void => {
      check(there);
      if (version !== undefined && there !== undefined && there !== version)
        throw deps.preconditionFailed("the policy has changed since it was listed; look at it again");
    },
  };
  const isThere = await new PoliciesStore(deps.database).answer({
    id,
    target: repositoryOf(request),
    accepted,
    change,
  });
  if (!isThere) throw deps.notFound();
  return empty(204);
}

function changeOf(deps: PromotionDeps, request: Request) {
  return { check: preconditionOf(request, deps.preconditionFailed), confirm: deps.confirm(request) };
}

function policyParam(request: Request): string {
  const name = request.param("policy");
  if (!isNamespaceName(name))
    throw request.badRequest("a policy's name is 2 to 32 of a-z and 0-9, with single - or _ between");
  return name;
}

function toWire({ name, enabled, terms, setBy, setAt, accepted }: Policy): z.infer<typeof policySchema> {
  return { name, enabled, ...terms, setBy, setAt: setAt.toISOString(), acceptedBy: accepted?.by ?? null };
}
