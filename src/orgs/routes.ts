import { z } from "zod";
import { toOpenApi } from "../http/openapi.ts";
import { json } from "../http/reply.ts";
import { maxRestBodyBytes, operation, type RestOperation } from "../http/rest-operation.ts";
import { type Access, type Protocol, type Route, route } from "../http/route.ts";
import type { Confirm } from "../storage/database.ts";
import { auditOperations } from "./audit-api.ts";
import { type ClusterAgentApiDeps, clusterAgentOperations } from "./cluster-agent-api.ts";
import { invalidRequest, methodNotAllowed, notFound, problemReply, tokenErrorReply } from "./errors.ts";
import { type ExplainApiDeps, explainOperations } from "./explain-api.ts";
import { type GrantsApiDeps, grantsOperations } from "./grants-api.ts";
import { type DirectoriesApiDeps, directoriesOperations } from "./ldap/directories-api.ts";
import { type OrgsApiDeps, orgsOperations } from "./orgs-api.ts";
import { type PersonalTokensApiDeps, personalTokensOperations } from "./personal-tokens-api.ts";
import { type RepositoriesApiDeps, repositoriesOperations } from "./repositories-api.ts";
import { type RobotsApiDeps, robotsOperations } from "./robots-api.ts";
import { type TeamsApiDeps, teamsOperations } from "./teams-api.ts";
import { getKeys, getToken, postToken, type TokenEndpointDeps } from "./token-endpoint.ts";
import type { TokenKeys } from "./token-keys.ts";
import { type UserKeysApiDeps, userKeysOperations } from "./user-keys-api.ts";
import { type UsersApiDeps, usersOperations } from "./users-api.ts";

export interface OrgsDeps
  extends UsersApiDeps,
    OrgsApiDeps,
    TeamsApiDeps,
    GrantsApiDeps,
    RepositoriesApiDeps,
    RobotsApiDeps,
    PersonalTokensApiDeps,
    UserKeysApiDeps,
    ExplainApiDeps,
    ClusterAgentApiDeps,
    DirectoriesApiDeps {
  readonly keys: TokenKeys;
  /** Seals every row anew that an old key of the ring has sealed; returns how many. */
  readonly reseal: (confirm: Confirm) => Promise<number>;
}

const OPEN: Access = { kind: "open" };
const SYSTEM_ADMIN: Access = { kind: "system-admin" };

/** The REST API, by noun. */
export const orgsOperationsOf = (deps: OrgsDeps): RestOperation[] => [
  ...usersOperations(deps),
  ...userKeysOperations(deps),
  ...orgsOperations(deps),
  ...teamsOperations(deps),
  ...grantsOperations(deps),
  ...repositoriesOperations(deps),
  ...robotsOperations(deps),
  ...personalTokensOperations(deps),
  ...auditOperations(deps),
  ...explainOperations(deps),
  ...clusterAgentOperations(deps),
  ...directoriesOperations(deps),
  operation(["token-keys-rotate", "POST", "/api/v1/token-keys/rotate", SYSTEM_ADMIN], {
    summary: "Sign tokens with a new key from now on.",
    answers: { 201: z.strictObject({ kid: z.string() }) },
    act: async (request) => json(201, { kid: await deps.keys.rotate(deps.confirm(request)) }),
  }),
  operation(["keyring-reseal", "POST", "/api/v1/keyring/reseal", SYSTEM_ADMIN], {
    summary: `Seal with the first key of the key ring whatever an older one has sealed. Every process must have the new ring
      before; then the lines of old keys can go.`,
    answers: { 200: z.strictObject({ resealed: z.int() }) },
    act: async (request) => json(200, { resealed: await deps.reseal(deps.confirm(request)) }),
  }),
];

/** The token service looks at credentials itself: its refusals are not the registry's. */
export const tokenRoutes = (deps: TokenEndpointDeps): Route[] => [
  route("token-get", "GET", "/token", OPEN, getToken(deps)),
  route("token-post", "POST", "/token", OPEN, postToken(deps), { maxBodyBytes: maxRestBodyBytes }),
  route("token-jwks", "GET", "/token/jwks.json", OPEN, getKeys(deps)),
];

/** Every operation of the REST API, and the document that describes them. */
export function restProtocol(operations: readonly RestOperation[], publicUrl: string): Protocol {
  const document = json(200, toOpenApi({ publicUrl, version: "1", operations }));
  const openApi = route("openapi", "GET", "/api/v1/openapi.json", OPEN, async () => document);
  return {
    prefix: "/api/v1/",
    routes: [...operations.map((one) => one.route), openApi],
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
