import { json } from "../http/reply.ts";
import { type Access, type Protocol, type Route, route } from "../http/route.ts";
import { searchAudit } from "./audit-api.ts";
import { invalidRequest, methodNotAllowed, notFound, problemReply, tokenErrorReply } from "./errors.ts";
import { type ExplainApiDeps, explainDecision, explainRight } from "./explain-api.ts";
import { getRepository, putRepository, type RepositoriesApiDeps } from "./repositories-api.ts";
import { maxRestBodyBytes } from "./rest-body.ts";
import { getKeys, getToken, postToken, type TokenEndpointDeps } from "./token-endpoint.ts";
import type { TokenKeys } from "./token-keys.ts";
import { getUser, listUsers, putUser, type UsersApiDeps } from "./users-api.ts";

export interface OrgsDeps extends UsersApiDeps, RepositoriesApiDeps, ExplainApiDeps {
  readonly keys: TokenKeys;
}

const OPEN: Access = { kind: "open" };
const USER: Access = { kind: "user" };
const SYSTEM_ADMIN: Access = { kind: "system-admin" };
const BODY = { maxBodyBytes: maxRestBodyBytes };

/** The REST API. What a user may see of others is decided in the handlers, where {@link USER} stands. */
export const orgsRoutes = (deps: OrgsDeps): Route[] => [
  route("users-list", "GET", "/api/v1/users", SYSTEM_ADMIN, listUsers(deps)),
  route("user-get", "GET", "/api/v1/users/<user>", USER, getUser(deps)),
  route("user-put", "PUT", "/api/v1/users/<user>", USER, putUser(deps), BODY),
  route("repository-get", "GET", "/api/v1/orgs/<org>/repositories/<repo>", USER, getRepository(deps)),
  route("repository-put", "PUT", "/api/v1/orgs/<org>/repositories/<repo>", USER, putRepository(deps), BODY),
  route("audit-search", "GET", "/api/v1/audit", USER, searchAudit(deps)),
  route("explain", "GET", "/api/v1/explain", USER, explainRight(deps)),
  route("explain-decision", "GET", "/api/v1/explain/<decision>", USER, explainDecision(deps)),
  route("token-keys-rotate", "POST", "/api/v1/token-keys/rotate", SYSTEM_ADMIN, async () =>
    json(201, { kid: await deps.keys.rotate() }),
  ),
];

/** The token service looks at credentials itself: its refusals are not the registry's. */
export const tokenRoutes = (deps: TokenEndpointDeps): Route[] => [
  route("token-get", "GET", "/token", OPEN, getToken(deps)),
  route("token-post", "POST", "/token", OPEN, postToken(deps), BODY),
  route("token-jwks", "GET", "/token/jwks.json", OPEN, getKeys(deps)),
];

export function orgsProtocol(deps: OrgsDeps): Protocol {
  return {
    prefix: "/api/v1/",
    routes: orgsRoutes(deps),
    errorReply: problemReply,
    notFound,
    methodNotAllowed,
    badRequest: invalidRequest,
  };
}

export function tokenProtocol(deps: TokenEndpointDeps): Protocol {
  return {
    prefix: "/token",
    routes: tokenRoutes(deps),
    errorReply: tokenErrorReply,
    notFound,
    methodNotAllowed,
    badRequest: invalidRequest,
  };
}
