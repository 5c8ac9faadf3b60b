import { json, type Reply } from "../http/reply.ts";
import type { Request } from "../http/request.ts";
import type { Handler } from "../http/route.ts";
import { type Actor, ANONYMOUS } from "../oci/access.ts";
import type { Confirm } from "../storage/database.ts";
import type { FindAccess } from "./access-lookup.ts";
import type { Authenticator, Identity } from "./authenticator.ts";
import { stands } from "./authorize.ts";
import { BASIC_CHALLENGE } from "./challenge.ts";
import { parseAuthorization } from "./credentials.ts";
import { invalidRequest, OrgsError } from "./errors.ts";
import type { PermissionRules } from "./permissions.ts";
import type { RefreshTokensStore } from "./refresh-tokens-store.ts";
import type { TokenKeys } from "./token-keys.ts";
import type { IssuedToken, TokenService } from "./token-service.ts";
import type { User } from "./users-store.ts";

export interface TokenEndpointDeps {
  readonly service: string;
  readonly rules: PermissionRules;
  readonly authenticator: Authenticator;
  readonly findAccess: FindAccess;
  readonly tokens: TokenService;
  readonly keys: TokenKeys;
  readonly refreshTokens: RefreshTokensStore;
  /** Puts the sign-in on record. */
  readonly confirmSignIn: (request: Request) => Confirm;
}

const maxScopes = 100;
const maxScopeLength = 1024;
/** docker sends one; who sends none shares this one. */
const defaultClientId = "docker";
/** RFC 6749 appendix A.1: visible characters and spaces. */
const CLIENT_ID = /^[\x20-\x7e]{1,256}$/;

/**
 * `GET /token?service=&scope=&scope=&client_id=&offline_token=true` with Basic, or without credentials for what is
 * public. Answers 200 also where nothing was granted.
 * @throws OrgsError unauthorized, invalid-request
 * @see distribution "Token Authentication Specification"
 */
export function getToken(deps: TokenEndpointDeps): Handler {
  return async (request) => {
    checkService(deps, request.query("service"));
    const scopes = toScopes(request.queryAll("scope"));
    const offline = request.query("offline_token") === "true";
    const clientId = parseClientId(request.query("client_id"));

    const who = await signIn(deps, request);

    return issue(deps, request, { ...who, scopes, clientId, offline });
  };
}

/**
 * `POST /token`, a form: `grant_type=password|refresh_token`, `service`, `client_id`, `scope`, `access_type=offline`.
 * A refresh token is bound to its user, service and client, and stands for no more than its user may do now.
 * @throws OrgsError unauthorized, invalid-request, body-too-large
 * @see distribution "OAuth2 Token Authentication"
 */
export function postToken(deps: TokenEndpointDeps): Handler {
  return async (request) => {
    const form = parseForm(request, await request.body());
    checkService(deps, form.one("service"));
    const scopes = toScopes(form.all("scope"));
    const clientId = parseClientId(form.one("client_id"));
    const grant = form.one("grant_type");

    const who =
      grant === "refresh_token" ? await refresh(deps, form, clientId) : await signInByForm(deps, request, form);

    const offline = grant === "password" && form.one("access_type") === "offline";
    const refreshToken = grant === "refresh_token" ? form.one("refresh_token") : undefined;
    return issue(deps, request, { ...who, scopes, clientId, offline, refreshToken });
  };
}

/** `GET /token/jwks.json`: the public keys that tokens are verified with. */
export function getKeys({ keys }: TokenEndpointDeps): Handler {
  return async () => json(200, await keys.jwks(), { "Cache-Control": "public, max-age=5" });
}

interface Who {
  readonly actor: Actor;
  /** Undefined for robots, and where nobody signed in. */
  readonly user: User | undefined;
}

interface Ask extends Who {
  readonly scopes: readonly string[];
  readonly clientId: string;
  readonly offline: boolean;
  readonly refreshToken?: string | undefined;
}

async function issue(deps: TokenEndpointDeps, request: Request, ask: Ask): Promise<Reply> {
  const { actor, user, scopes, clientId, offline } = ask;
  request.actor = actor;
  const issued = await deps.tokens.issue({ actor, epoch: user?.tokenEpoch ?? 0 }, scopes);
  request.notes.scope = issued.scope.slice(0, 500);
  if (user === undefined || !offline) return toReply(issued, ask.refreshToken);
  const binding = { service: deps.service, clientId, credential: actor.credential };
  return toReply(issued, await deps.refreshTokens.create(user, binding, deps.confirmSignIn(request)));
}

function toReply({ token, issuedAt, expiresInSeconds, scope }: IssuedToken, refreshToken: string | undefined): Reply {
  const answer = {
    token,
    access_token: token,
    expires_in: expiresInSeconds,
    issued_at: issuedAt.toISOString(),
    scope,
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
  };
  return json(200, answer, { "Cache-Control": "no-store" });
}

async function signIn(deps: TokenEndpointDeps, request: Request): Promise<Who> {
  const credentials = parseAuthorization(request.headerAll("authorization"));
  if (credentials.kind === "none") {
    if (deps.rules.anonymous) return { actor: ANONYMOUS, user: undefined };
    throw refused("this registry has nothing for those who do not sign in: docker login first");
  }
  const { kind } = credentials;
  if (kind === "basic") request.claimedName = credentials.name;
  return toWho(kind === "basic" ? await deps.authenticator.identify(credentials, request.clientAddress) : undefined);
}

async function signInByForm({ authenticator }: TokenEndpointDeps, request: Request, form: Form): Promise<Who> {
  if (form.one("grant_type") !== "password") throw invalidRequest("grant_type is password or refresh_token");
  const name = form.one("username") ?? "";
  const password = form.one("password") ?? "";
  request.claimedName = name;
  return toWho(await authenticator.byPassword({ name, password }, request.clientAddress));
}

function toWho(identity: Identity | undefined): Who {
  if (identity === undefined) throw refused();
  return { actor: identity.actor, user: identity.facts.user };
}

async function refresh(deps: TokenEndpointDeps, form: Form, clientId: string): Promise<Who> {
  const { refreshTokens, findAccess, service } = deps;
  const found = await refreshTokens.use(form.one("refresh_token") ?? "", { service, clientId });
  const key = { user: found?.name ?? "", credential: found?.credential, repository: "" } as const;
  const facts = await findAccess(key);
  const { user } = facts;
  const actor: Actor = { kind: "user", id: user?.id ?? 0, name: key.user, credential: key.credential };
  if (user === undefined || !stands(actor, facts))
    throw refused("the identity token is not valid, or no longer: docker login again");
  return { actor, user };
}

/** One answer for every way to be wrong. */
function refused(message = "user name or password is wrong, or the account is suspended"): OrgsError {
  return new OrgsError("unauthorized", message, { headers: { "WWW-Authenticate": BASIC_CHALLENGE } });
}

function checkService({ service }: TokenEndpointDeps, asked: string | undefined): void {
  if (asked !== undefined && asked !== service)
    throw invalidRequest(`this token service issues for service ${service}`);
}

function parseClientId(text: string | undefined): string {
  if (text !== undefined && text !== "" && !CLIENT_ID.test(text))
    throw invalidRequest("client_id is 1 to 256 visible characters");
  return text || defaultClientId;
}

/** Several parameters, or several scopes in one with spaces between: clients do both. */
function toScopes(values: readonly string[]): string[] {
  const scopes = values.flatMap((value) => value.split(" ")).filter((scope) => scope !== "");
  if (scopes.length > maxScopes) throw invalidRequest(`more than ${maxScopes} scopes`);
  if (scopes.some(({ length }) => length > maxScopeLength)) throw invalidRequest("a scope is too long");
  return scopes;
}

interface Form {
  one(name: string): string | undefined;
  all(name: string): readonly string[];
}

function parseForm(request: Request, body: Buffer): Form {
  const type = request.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/x-www-form-urlencoded") {
    throw invalidRequest("the body must be a form (application/x-www-form-urlencoded)");
  }
  const fields = new URLSearchParams(body.toString("utf8"));
  return {
    all: (name) => fields.getAll(name),
    one: (name) => {
      const values = fields.getAll(name);
      if (values.length > 1) throw invalidRequest(`${name} stands there ${values.length} times`);
      return values[0];
    },
  };
}
