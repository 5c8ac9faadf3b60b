import type { Request } from "../http/request.ts";
import type { Access } from "../http/route.ts";
import type { RepositoryAction } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import { isNamespaceName, parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { Authenticator, Identity } from "./authenticator.ts";
import { BASIC_CHALLENGE, type ChallengeSettings } from "./challenge.ts";
import { type Credentials, parseAuthorization } from "./credentials.ts";
import { invalidRequest, notFound, OrgsError } from "./errors.ts";
import { decide, everythingIn, type PermissionRules } from "./permissions.ts";
import { nameRule } from "./rest-words.ts";
import type { InTeam, TeamMember, TeamsStore } from "./teams-store.ts";

/** What REST routes may ask for. */
export type RestAccess = Extract<
  Access,
  {
    readonly kind:
      | "user"
      | "system-admin"
      | "cluster-agent"
      | "auditor"
      | "org"
      | "team"
      | "grant"
      | "org-admin"
      | "org-repository";
  }
>;

export interface RestGateDeps {
  readonly authenticator: Authenticator;
  readonly rules: PermissionRules;
  readonly teams: TeamsStore;
  readonly challenge: Pick<ChallengeSettings, "publicUrl">;
}

export function isRest(access: Access): access is RestAccess {
  return !["open", "ping", "catalog", "repository", "trust"].includes(access.kind);
}

/** One answer for every way to be wrong. */
export const BAD_PASSWORD = "user name or password is wrong, or the account is suspended";

/** Judges requests to REST: who is it, may they, and only then whether it exists. */
export function createRestGate(deps: RestGateDeps): (request: Request, access: RestAccess) => Promise<void> {
  const { origin } = new URL(deps.challenge.publicUrl);
  return async (request, access) => {
    refuseOtherSites(request, origin);
    const identity = await signIn(deps, request, access);
    request.actor = identity.actor;
    const findTeamMember = (where: InTeam) => deps.teams.findMember(where);
    await judgeRest(identity, request, { access, rules: deps.rules, findTeamMember });
  };
}

/**
 * A browser that was given a password once sends it along with whatever a page of another site makes it send, and says
 * whose page that is. Programs say nothing.
 */
function refuseOtherSites(request: Request, own: string): void {
  const isRead = request.method === "GET" || request.method === "HEAD";
  const origin = request.header("origin");
  if (!isRead && origin !== undefined && origin !== own) throw forbidden("a page of another site changes nothing here");
}

export interface RestMatter {
  readonly access: RestAccess;
  readonly rules: PermissionRules;
  readonly findTeamMember: (where: InTeam) => Promise<TeamMember | undefined>;
}

type Asking = Pick<Identity, "actor" | "facts">;

/** @throws OrgsError not-found, forbidden */
export async function judgeRest(identity: Asking, request: Request, matter: RestMatter): Promise<void> {
  const { access, rules } = matter;
  switch (access.kind) {
    case "user":
      return;
    case "system-admin":
      return mustBeAdmin(identity);
    case "cluster-agent":
      return mustBeAgent(identity, rules);
    case "auditor":
      if (identity.facts.user?.auditor !== true) mustBeAdmin(identity);
      return;
    case "org":
      if (access.orUser === true && isOwn(identity, request)) return;
      return judgeOrg(identity, request, access.right);
    case "team":
      return judgeTeam(matter, identity, request);
    case "grant":
      if (isWhole(request, access)) return judgeWhole(identity, request, rules);
      return judgeRepository(matter, identity, request, "admin");
    case "org-admin":
      if (access.right === "view" && identity.facts.user?.auditor === true) return;
      return judgeWhole(identity, request, rules);
    case "org-repository":
      return judgeRepository(matter, identity, request, access.action);
  }
}

async function signIn({ authenticator }: RestGateDeps, request: Request, access: RestAccess): Promise<Identity> {
  const credentials = parseAuthorization(request.headerAll("authorization"));
  if (credentials.kind === "basic") request.claimedName = credentials.name;
  const identity = await authenticator.identifyForRest(credentials, request.clientAddress, about(request, access));
  if (identity !== undefined) return identity;
  throw badRestCredentials(credentials);
}

export function badRestCredentials(credentials: Credentials): OciError {
  return new OciError("UNAUTHORIZED", {
    message:
      credentials.kind === "basic"
        ? BAD_PASSWORD
        : "send a user name and password (Basic), or a personal token or a robot's secret (Bearer); a registry token is not taken here",
    headers: { "WWW-Authenticate": BASIC_CHALLENGE },
  });
}

/** What is read from the database together with whoever asks. */
export function about(request: Request, access: RestAccess): { repository: RepositoryName | ""; namespace?: string } {
  if (["user", "system-admin", "cluster-agent", "auditor"].includes(access.kind)) return { repository: "" };
  const org = request.param("org");
  const namespace = isNamespaceName(org) ? org : "";
  if (["org", "team", "org-admin"].includes(access.kind) || isWhole(request, access))
    return { repository: "", namespace };
  const name = tryRepositoryName(`${org}/${request.param("repo")}`);
  return { repository: name ?? "" };
}

function mustBeAdmin({ actor, facts }: Asking): void {
  if (facts.user?.systemAdmin === true) return;
  throw forbidden(`${actor.name} is not a system administrator; ask one to do this`);
}

function mustBeAgent({ actor, facts }: Asking, { bridgeAccount }: PermissionRules): void {
  const isAgent = facts.user !== undefined && facts.user.name === bridgeAccount;
  if (isAgent || facts.user?.systemAdmin === true) return;
  throw forbidden(`${actor.name} is not the account of the cluster's bridge (GOLDSEAL_BRIDGE_ACCOUNT)`);
}

/** To whoever is not of it, an organization does not exist. */
function judgeOrg({ actor, facts }: Asking, request: Request, right: "view" | "manage"): void {
  const { user, orgRole } = facts;
  if (user?.systemAdmin === true || orgRole === "owner") return;
  const sees = orgRole !== undefined || user?.auditor === true;
  if (sees && right === "view") return;
  if (!sees) throw notFound();
  throw forbidden(`${actor.name} does not own ${request.param("org")}; one of its owners can do this`);
}

/** A user's repositories stand under the user's name. */
function isOwn({ actor }: Asking, request: Request): boolean {
  return actor.kind === "user" && actor.name === request.param("org");
}

async function judgeTeam({ findTeamMember }: RestMatter, identity: Asking, request: Request): Promise<void> {
  judgeOrg(identity, request, "view");
  const { user, orgRole } = identity.facts;
  if (user?.systemAdmin === true || orgRole === "owner") return;
  const [org, team] = [request.param("org"), request.param("team")];
  const member = isNamespaceName(team) ? await findTeamMember({ org, team, user: identity.actor.name }) : undefined;
  if (member?.admin !== true)
    throw forbidden(`${identity.actor.name} administers neither ${org} nor its team ${team}; who does can do this`);
}

/** Nobody but whoever may list a repository learns that it is there. */
function judgeRepository({ rules }: RestMatter, identity: Asking, request: Request, action: RepositoryAction): void {
  // `org%2Fteam` would be a part of the repository's name: judged well, but on nobody's record.
  if (!isNamespaceName(request.param("org"))) throw invalidRequest(nameRule);
  const name = parseRepositoryName(`${request.param("org")}/${request.param("repo")}`);
  const decision = decide(name, action, identity.facts, rules);
  if (decision.allowed) return;
  if (decision.why === "hidden") throw notFound();
  throw forbidden(`${identity.actor.name} does not administer ${name}; its owner or a system administrator does`);
}

/** What concerns everything is for those who administer everything. */
function judgeWhole({ actor, facts }: Asking, request: Request, rules: PermissionRules): void {
  const org = request.param("org");
  if (decide(everythingIn(org), "admin", facts, rules).allowed) return;
  if (facts.orgRole === undefined && facts.user?.auditor !== true) throw notFound();
  throw forbidden(`${actor.name} does not administer all of ${org}; one of its owners can do this`);
}

function isWhole(request: Request, access: Access): boolean {
  return access.kind === "grant" && request.param("repo") === "*";
}

function forbidden(message: string): OrgsError {
  return new OrgsError("forbidden", message);
}

function tryRepositoryName(text: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(text);
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}
