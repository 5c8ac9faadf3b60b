import type { Request } from "../http/request.ts";
import type { Access, Gate, Judgement } from "../http/route.ts";
import type { Actor, Admission, RepositoryAction } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import { namespaceOf, parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import type { AccessFacts } from "./access-lookup.ts";
import type { Authenticator, Identity } from "./authenticator.ts";
import { type Challenge, type ChallengeSettings, repositoryScope, unauthorized } from "./challenge.ts";
import { type Credentials, parseAuthorization } from "./credentials.ts";
import { toJson } from "./explain.ts";
import { decide, inScope, type PermissionRules, type Verdict } from "./permissions.ts";
import { BAD_PASSWORD, createRestGate, isRest } from "./rest-gate.ts";
import type { TeamsStore } from "./teams-store.ts";
import { createTrustGate } from "./trust-gate.ts";

export interface GateDeps {
  readonly authenticator: Authenticator;
  readonly rules: PermissionRules;
  readonly challenge: ChallengeSettings;
  readonly teams: TeamsStore;
}

const SIGN_INSTEAD = "; to sign what is there already, use goldseal trust sign";
const SIGN_IN = "sign in with docker login, or send a user name and password";

/** Judges each request before its handler runs: first the credentials, then the right, and only then existence. */
export function createGate(deps: GateDeps): Gate {
  const judgeRest = createRestGate(deps);
  const judgeTrust = createTrustGate(deps);
  const admit = createAdmit(deps);
  return async (request, access) => {
    if (access.kind === "open") return;
    if (access.kind === "trust") return judgeTrust(request, access);
    if (isRest(access)) return judgeRest(request, access);
    const credentials = parseAuthorization(request.headerAll("authorization"));
    if (credentials.kind === "basic") request.claimedName = credentials.name;
    const name = access.kind === "repository" ? tryRepositoryName(request.param("name")) : undefined;
    const challenge = () => challengeFor(request, access, name instanceof OciError ? undefined : name);
    const repository = name === undefined || name instanceof OciError ? "" : name;
    const identity = await deps.authenticator.identify(credentials, request.clientAddress, {
      repository,
      looked: request.looked,
    });
    if (identity === undefined) throw badCredentials(deps, credentials, challenge());
    request.actor = identity.actor;
    if (identity.actor.kind === "anonymous" && !deps.rules.anonymous) throw signInFirst(deps, identity, challenge());
    if (name instanceof OciError) throw name;
    if (access.kind === "ping" && identity.by === "nothing") throw signInFirst(deps, identity, challenge());
    if (access.kind === "catalog" && identity.by === "token" && !identity.catalog) {
      request.judgement = { why: "out-of-scope" };
      throw outOfScope(deps, identity, challenge(), "list repositories");
    }
    if (access.kind === "repository" && name !== undefined) admit(request, identity, { access, name, challenge });
  };
}

interface Entrance {
  readonly access: Extract<Access, { readonly kind: "repository" }>;
  readonly name: RepositoryName;
  readonly challenge: () => Challenge;
}

/** What was decided for who came with one token to the routes of one right. */
interface Admitted extends Omit<Entrance, "challenge"> {
  readonly actor: Actor;
  readonly judgement: Judgement | undefined;
  readonly admission: Admission;
}

/**
 * {@link judge}, which is not asked again where the very facts that it decided by are still true: nothing else decides, and
 * requests share them for as long as the rights have one version (access-lookup.ts).
 */
function createAdmit(deps: GateDeps): (request: Request, identity: Identity, entrance: Entrance) => void {
  const admitted = new WeakMap<AccessFacts, Admitted>();
  return (request, identity, { access, name, challenge }) => {
    const { actor, facts, by } = identity;
    const known = admitted.get(facts);
    if (known?.actor === actor && known.access === access && known.name === name) {
      request.judgement = known.judgement;
      request.admission = known.admission;
      return;
    }
    const admission = judge(deps, request, identity, { ...access, name, challenge });
    request.admission = admission;
    if (by === "token") admitted.set(facts, { actor, access, name, judgement: request.judgement, admission });
  };
}

export interface Matter {
  readonly name: RepositoryName;
  readonly action: RepositoryAction;
  readonly orUnchanged?: boolean;
  readonly challenge: () => Challenge;
}

/** @throws OciError UNAUTHORIZED, DENIED, NAME_UNKNOWN */
export function judge(
  deps: GateDeps,
  request: Request,
  identity: Identity,
  { name, action, orUnchanged, challenge }: Matter,
): Admission {
  const { actor, facts } = identity;
  const decision = decide(name, action, facts, deps.rules);
  if (orUnchanged === true && !decision.allowed && maySignWhatIsThere(deps, identity, name)) {
    request.judgement = toJudgement(decision, true);
    return { repositoryId: facts.repositoryId, mayCreate: false, unchangedOnly: true };
  }
  const isInScope = inScope(actor, { repository: name, action, nameEpoch: facts.nameEpoch });
  request.judgement = toJudgement(decision, isInScope);
  const hint = action === "push" && !decision.allowed && maySignWhatIsThere(deps, identity, name) ? SIGN_INSTEAD : "";
  if (!isInScope) throw outOfScope(deps, identity, challenge(), `${DOING[action]} ${name}${hint}`);
  if (decision.allowed) {
    const mayCreate = action === "push" && facts.repositoryId === undefined;
    return { repositoryId: facts.repositoryId, mayCreate };
  }
  if (actor.kind === "anonymous") throw signInFirst(deps, identity, challenge());
  // A repository that is hidden and one that is missing get the same answer, to the byte.
  const isRead = action === "pull" || action === "list";
  if (isRead && decision.why === "hidden") throw new OciError("NAME_UNKNOWN");
  const why =
    decision.why === "denied" && action === "push" && facts.repositoryId === undefined ? "missing" : decision.why;
  throw new OciError("DENIED", { message: `${refusal(actor, name, action, why)}${hint}` });
}

/**
 * docker pushes an image before it signs it, so who signs without pushing must hear that it is there. That is a way to read,
 * and asks a token for no more.
 */
function maySignWhatIsThere({ rules }: GateDeps, { actor, facts }: Identity, name: RepositoryName): boolean {
  if (
    facts.repositoryId === undefined ||
    !inScope(actor, { repository: name, action: "pull", nameEpoch: facts.nameEpoch })
  )
    return false;
  return decide(name, "pull", facts, rules).allowed && decide(name, "sign", facts, rules).allowed;
}

/** Undefined where a right that is given to somebody was used: that is what it is for. */
function toJudgement(verdict: Verdict, isInScope: boolean): Judgement | undefined {
  if (!isInScope) return { why: "out-of-scope", verdict: toJson(verdict) };
  if (!verdict.allowed) return { why: verdict.why, verdict: toJson(verdict) };
  return verdict.via.every(({ kind }) => kind === "system-admin") ? { why: "system-admin" } : undefined;
}

function refusal({ name: who }: Actor, name: RepositoryName, action: RepositoryAction, why: string): string {
  const namespace = namespaceOf(name);
  if (why === "no-namespace")
    return `there is no user or organization ${namespace}; make it first: goldseal org create ${namespace}`;
  // Only to those who may see everything there: to all others it is hidden.
  if (why === "missing")
    return `there is no repository ${name}, and ${who} may not make one; whoever administers all of ${namespace} may`;
  return (
    `${who} has no right to ${DOING[action]} ${name}; ` +
    `its owner or a system administrator can give it, if there is such a repository`
  );
}

export const DOING: Readonly<Record<RepositoryAction, string>> = {
  list: "list what is in",
  pull: "pull from",
  push: "push to",
  untag: "delete tags in",
  delete: "delete content of",
  sign: "sign in",
  promote: "promote from",
  admin: "administer",
  create: "make",
};

/** The error waits: who sent bad credentials hears of those first. */
function tryRepositoryName(text: string): RepositoryName | OciError {
  try {
    return parseRepositoryName(text);
  } catch (error) {
    if (error instanceof OciError) return error;
    throw error;
  }
}

export function challengeFor(request: Request, access: Access, name: RepositoryName | undefined): Challenge {
  if (access.kind === "catalog") return { scope: "registry:catalog:*" };
  if (access.kind !== "repository" || name === undefined) return {};
  const scopes = [repositoryScope(name, access.action), ...mountScope(request)];
  return { scope: scopes.join(" ") };
}

/** A mount needs the source too; a client that follows the challenge then asks for both at once. */
function mountScope(request: Request): string[] {
  const [from, ...others] = request.queryAll("from");
  if (from === undefined || others.length > 0 || request.queryAll("mount").length === 0) return [];
  const source = tryRepositoryName(from);
  return source instanceof OciError ? [] : [repositoryScope(source, "pull")];
}

export function badCredentials(
  { challenge: settings }: GateDeps,
  { kind }: Credentials,
  challenge: Challenge,
): OciError {
  const message =
    kind === "bearer"
      ? "the token is not valid here, or no longer: get a new one from the token service"
      : BAD_PASSWORD;
  return unauthorized(settings, message, { ...challenge, fault: kind === "bearer" ? "invalid_token" : undefined });
}

function signInFirst({ challenge: settings }: GateDeps, { by }: Identity, challenge: Challenge): OciError {
  const fault = by === "token" ? "insufficient_scope" : undefined;
  return unauthorized(settings, `authentication required: ${SIGN_IN}`, { ...challenge, fault });
}

/** Clients show this to a person who lacks the right itself: their token is without it for that reason. */
function outOfScope(
  { challenge: settings }: GateDeps,
  { actor }: Identity,
  challenge: Challenge,
  matter: string,
): OciError {
  const next =
    actor.kind === "anonymous"
      ? SIGN_IN
      : "its owner or a system administrator can give the right; whoever has it needs a token for the scope in WWW-Authenticate";
  const message = `the token of ${actor.name} does not allow to ${matter}; ${next}`;
  return unauthorized(settings, message, { ...challenge, fault: "insufficient_scope" });
}
