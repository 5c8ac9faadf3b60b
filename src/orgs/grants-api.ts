import { z } from "zod";
import { empty, json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import { bodyOperation, operation, type RestOperation } from "../http/rest-operation.ts";
import { pageQuery, pageSchema, replyPage, withoutHidden } from "../http/rest-page.ts";
import type { Access } from "../http/route.ts";
import type { Authorize } from "../oci/access.ts";
import { parseRepositoryName } from "../oci/repository-name.ts";
import { notFound } from "./errors.ts";
import type { Grant, GrantKey, GrantsStore } from "./grants-store.ts";
import {
  type ChangeDeps,
  changeOf,
  extraSchema,
  levelSchema,
  nameParam,
  nameSchema,
  replyWith,
  repositoryParam,
} from "./rest-words.ts";
import type { TeamsStore } from "./teams-store.ts";

export interface GrantsApiDeps extends ChangeDeps {
  readonly grants: GrantsStore;
  readonly teams: TeamsStore;
  readonly authorize: Authorize;
}

const grantSchema = z.strictObject({
  team: nameSchema,
  scope: z.string().describe("a repository's name within the organization, or *: all of them, those to come too"),
  level: levelSchema,
  extra: extraSchema,
});
const grantBody = z.strictObject({ level: levelSchema, extra: extraSchema.default([]) });

const VIEW: Access = { kind: "org", right: "view" };
const GRANT: Access = { kind: "grant" };
const ADMIN: Access = { kind: "org-repository", action: "admin" };

const GRANTS = "/api/v1/orgs/<org>/teams/<team>/grants";
const ONE = `${GRANTS}/<repo>`;

/** What teams may do, in one repository or in all of their organization. */
export const grantsOperations = (deps: GrantsApiDeps): RestOperation[] => [
  operation(["grants-list", "GET", GRANTS, VIEW], {
    summary: "What a team may do.",
    query: pageQuery,
    answers: { 200: pageSchema("grants", grantSchema) },
    act: listGrants(deps),
  }),
  operation(["grant-get", "GET", ONE, VIEW], {
    summary: "What a team may do in one repository, or (`*`) in all.",
    answers: { 200: grantSchema },
    act: getGrant(deps),
  }),
  bodyOperation(["grant-put", "PUT", ONE, GRANT], {
    conditional: true,
    summary: "Let a team do something in one repository, or (`*`) in all, those to come too.",
    body: grantBody,
    answers: { 200: grantSchema, 201: grantSchema },
    act: putGrant(deps),
  }),
  operation(["grant-delete", "DELETE", ONE, GRANT], {
    conditional: true,
    summary: "Take a grant back.",
    answers: { 204: undefined },
    act: deleteGrant(deps),
  }),
  operation(["repository-grants", "GET", "/api/v1/orgs/<org>/repositories/<repo>/grants", ADMIN], {
    summary: "Every grant that concerns a repository, those of the whole organization too.",
    answers: { 200: z.strictObject({ grants: z.array(grantSchema) }) },
    act: listOfRepository(deps),
  }),
];

function listGrants(deps: GrantsApiDeps) {
  const { grants, teams } = deps;
  return async (request: Request): Promise<Reply> => {
    const team = { org: nameParam(request, "org"), name: nameParam(request, "team") };
    if ((await teams.find(team)) === undefined) throw notFound();
    return replyPage(request, {
      name: "grants",
      keyOf,
      toWire,
      read: withoutHidden((page) => grants.listOfTeam(team, page), {
        keyOf,
        isVisible: ({ scope }) => isVisible(deps, request, scope),
      }),
    });
  };
}

const keyOf = ({ scope }: Grant): string => scope;

/** Members of an organization see what its teams may do, but learn of no repository by it that is hidden from them. */
async function isVisible({ authorize }: GrantsApiDeps, request: Request, scope: string): Promise<boolean> {
  if (scope === "*") return true;
  const name = parseRepositoryName(`${request.param("org")}/${scope}`);
  return (await authorize(request.actor, name, "list")).allowed;
}

function getGrant(deps: GrantsApiDeps) {
  return async (request: Request, status = 200): Promise<Reply> => {
    const grant = await deps.grants.find(grantKey(request));
    if (grant === undefined || !(await isVisible(deps, request, grant.scope))) throw notFound();
    return replyWith(status, toWire(grant), grant.version);
  };
}

function putGrant(deps: GrantsApiDeps) {
  return async (request: Request, { level, extra }: z.infer<typeof grantBody>): Promise<Reply> => {
    const change = { level, extra: [...new Set(extra)].sort() };
    const made = await deps.grants.put(grantKey(request), change, changeOf(deps, request));
    return getGrant(deps)(request, made ? 201 : 200);
  };
}

function deleteGrant(deps: GrantsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    await deps.grants.delete(grantKey(request), changeOf(deps, request));
    return empty(204);
  };
}

function listOfRepository({ grants }: GrantsApiDeps) {
  return async (request: Request): Promise<Reply> => {
    repositoryParam(request);
    const found = await grants.listOfRepository({ org: request.param("org"), name: request.param("repo") });
    return json(200, { grants: found.map(toWire) });
  };
}

function grantKey(request: Request): GrantKey {
  const [org, scope] = [nameParam(request, "org"), request.param("repo")];
  if (scope !== "*") parseRepositoryName(`${org}/${scope}`);
  return { org, team: nameParam(request, "team"), scope };
}

function toWire({ team, scope, level, extra }: Grant) {
  return { team, scope, level, extra };
}
