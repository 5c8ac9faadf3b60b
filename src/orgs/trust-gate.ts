import type { Request } from "../http/request.ts";
import type { Access, TrustAction } from "../http/route.ts";
import type { Admission } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import { authorityOf, repositoryOfGun } from "../oci/gun.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Authenticator, Identity } from "./authenticator.ts";
import { type Challenge, type ChallengeSettings, unauthorized } from "./challenge.ts";
import { parseAuthorization } from "./credentials.ts";
import { toJson } from "./explain.ts";
import type { PermissionRules, Verdict } from "./permissions.ts";
import { decideTrust, isInTrustScope, trustScope } from "./trust-rights.ts";

export type TrustAccess = Extract<Access, { readonly kind: "trust" }>;

export interface TrustGateDeps {
  readonly authenticator: Authenticator;
  readonly rules: PermissionRules;
  readonly challenge: ChallengeSettings;
}

/**
 * Judges requests for trust data. Every refusal is the same 401, whether the repository is hidden, missing or just not
 * for this actor: clients take a 403 for a server that is down.
 * @throws OciError UNAUTHORIZED; NAME_INVALID for a GUN that can never be one of ours
 */
export function createTrustGate(deps: TrustGateDeps): (request: Request, access: TrustAccess) => Promise<void> {
  const authority = authorityOf(deps.challenge.publicUrl);
  return async (request, { action }) => {
    const gun = request.param("gun");
    const repository = repositoryOfGun(gun, authority);
    const challenge = repository === undefined ? {} : { scope: trustScope(gun, action) };
    const identity = await identify(deps, request, repository, challenge);
    request.actor = identity.actor;
    if (identity.actor.kind === "anonymous" && !deps.rules.anonymous) throw refusal(deps, identity, challenge);
    if (repository === undefined)
      throw new OciError("NAME_INVALID", { message: `this server's names begin with ${authority}/` });
    request.admission = judgeTrust(deps, request, identity, { gun, repository, action, challenge });
  };
}

async function identify(
  { authenticator, challenge: settings }: TrustGateDeps,
  request: Request,
  repository: RepositoryName | undefined,
  challenge: Challenge,
): Promise<Identity> {
  const credentials = parseAuthorization(request.headerAll("authorization"));
  if (credentials.kind === "basic") request.claimedName = credentials.name;
  const about = { repository: repository ?? ("" as const) };
  const identity = await authenticator.identify(credentials, request.clientAddress, about);
  if (identity !== undefined) return identity;
  const fault = credentials.kind === "bearer" ? "invalid_token" : undefined;
  throw unauthorized(settings, "the credentials are not valid here, or no longer", { ...challenge, fault });
}

export interface TrustMatter {
  readonly gun: string;
  readonly repository: RepositoryName;
  readonly action: TrustAction;
  readonly challenge: Challenge;
}

/** @throws OciError UNAUTHORIZED */
export function judgeTrust(deps: TrustGateDeps, request: Request, identity: Identity, matter: TrustMatter): Admission {
  const { gun, repository, action, challenge } = matter;
  const { actor, facts } = identity;
  const verdict = decideTrust(repository, action, facts, deps.rules);
  const isInScope = isInTrustScope(actor, gun, action, facts.nameEpoch);
  if (!verdict.allowed || !isInScope) {
    request.judgement = { why: verdict.allowed ? "out-of-scope" : verdict.why, verdict: toJson(verdict) };
    throw refusal(deps, identity, challenge);
  }
  if (isByAdminAlone(verdict)) request.judgement = { why: "system-admin" };
  return {
    repositoryId: facts.repositoryId,
    mayCreate: action === "sign" && facts.repositoryId === undefined,
    isPublic: facts.visibility === "public" && deps.rules.anonymous,
  };
}

function isByAdminAlone({ via }: Verdict): boolean {
  return via.every(({ kind }) => kind === "system-admin");
}

function refusal({ challenge: settings }: TrustGateDeps, { by }: Identity, challenge: Challenge): OciError {
  const fault = by === "token" ? "insufficient_scope" : undefined;
  return unauthorized(settings, "authentication required", { ...challenge, fault });
}
