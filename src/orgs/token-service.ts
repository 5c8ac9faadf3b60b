import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import type { Actor } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import { repositoryOfGun } from "../oci/gun.ts";
import { parseRepositoryName, type RepositoryName } from "../oci/repository-name.ts";
import { parseScope, type Scope } from "../oci/scope.ts";
import type { AccessFacts, FindAccess } from "./access-lookup.ts";
import { factsOf } from "./authorize.ts";
import { decide, type PermissionRules, TOKEN_ACTION } from "./permissions.ts";
import { type TokenKeys, tokenAlgorithm } from "./token-keys.ts";
import { accessTokenType, type TokenSettings } from "./token-verifier.ts";
import { decideTrust, TRUST_ACTIONS, TRUST_TOKEN_ACTION } from "./trust-rights.ts";

export interface TokenServiceOptions extends TokenSettings {
  readonly keys: TokenKeys;
  readonly findAccess: FindAccess;
  readonly rules: PermissionRules;
  readonly now: () => Date;
}

/** Whoever asks for a token: a user whose credentials were just judged, or nobody. */
export interface Bearer {
  readonly actor: Actor;
  readonly epoch: number;
}

export interface IssuedToken {
  readonly token: string;
  readonly issuedAt: Date;
  readonly expiresInSeconds: number;
  /** The scopes as granted, in words of the token specification. */
  readonly scope: string;
}

/** One entry of the claim `access`. */
interface NamedScope extends Scope {
  readonly epoch?: number;
}

const ASKABLE = ["list", "pull", "push", "untag", "delete", "admin"] as const;

/**
 * Issues access tokens that name what was asked for and is allowed now. A scope that is malformed, of another kind or
 * not allowed is left out: the token is issued all the same, and the registry says what is missing.
 * @see distribution "Token Authentication Specification", "Token Scope Documentation"
 */
export class TokenService {
  readonly #options: TokenServiceOptions;

  constructor(options: TokenServiceOptions) {
    this.#options = options;
  }

  async issue(bearer: Bearer, scopes: readonly string[]): Promise<IssuedToken> {
    const access = await this.#grant(bearer.actor, merge(scopes));
    const { keys, issuer, service, tokenTtlSeconds, now } = this.#options;
    const { kid, key } = await keys.signingKey();
    const issuedAt = now();
    const seconds = Math.floor(issuedAt.getTime() / 1000);
    const token = await new SignJWT({ ...whose(bearer), access })
      .setProtectedHeader({ alg: tokenAlgorithm, kid, typ: accessTokenType })
      .setIssuer(issuer)
      .setAudience(service)
      .setSubject(bearer.actor.name)
      .setIssuedAt(seconds)
      .setNotBefore(seconds)
      .setExpirationTime(seconds + tokenTtlSeconds)
      .setJti(randomUUID())
      .sign(key);
    const scope = access.map(({ type, name, actions }) => `${type}:${name}:${actions.join(",")}`).join(" ");
    return { token, issuedAt, expiresInSeconds: tokenTtlSeconds, scope };
  }

  async #grant(actor: Actor, scopes: readonly Scope[]): Promise<NamedScope[]> {
    const granted = await Promise.all(scopes.map((scope) => this.#grantOne(actor, scope)));
    return granted.filter(({ actions }) => actions.length > 0);
  }

  async #grantOne(actor: Actor, { type, name, actions }: Scope): Promise<NamedScope> {
    // What of the list is shown is decided when it is asked for.
    const isCatalog = type === "registry" && name === "catalog" && actions.includes("*");
    if (type === "registry") return { type, name, actions: isCatalog ? ["*"] : [] };
    const gun = type === "repository" ? repositoryOfGun(name, this.#options.service) : undefined;
    const repository = gun ?? (type === "repository" ? tryParse(name) : undefined);
    if (repository === undefined) return { type, name, actions: [] };
    const facts = await factsOf(this.#options.findAccess, actor, repository);
    const names = gun === undefined ? this.#names(repository, facts) : this.#trustNames(repository, facts);
    const granted = grantedActions(actions, names);
    // Left out where it is 0, which is what no epoch means.
    return { type, name, actions: granted, ...(facts.nameEpoch === 0 ? {} : { epoch: facts.nameEpoch }) };
  }

  #names(repository: RepositoryName, facts: AccessFacts): Set<string> {
    const allowed = ASKABLE.filter((action) => {
      const decision = decide(repository, action, facts, this.#options.rules);
      // Named all the same: the push then hears from the registry what is missing.
      return decision.allowed || decision.why === "no-namespace";
    });
    return new Set(allowed.map((action) => TOKEN_ACTION[action]).filter((name) => name !== undefined));
  }

  /** `host:port/org/app` is the trust data of `org/app`: a token for it opens nothing of the repository itself. */
  #trustNames(repository: RepositoryName, facts: AccessFacts): Set<string> {
    const allowed = TRUST_ACTIONS.filter((action) => {
      const decision = decideTrust(repository, action, facts, this.#options.rules);
      return decision.allowed || decision.why === "no-namespace";
    });
    return new Set(allowed.map((action) => TRUST_TOKEN_ACTION[action]));
  }
}

function grantedActions(asked: readonly string[], names: ReadonlySet<string>): readonly string[] {
  if (!asked.includes("*")) return asked.filter((action) => names.has(action));
  // Who asks for everything and is not its administrator gets what there is (skopeo asks `*` to delete).
  return names.has("*") ? ["*"] : [...names];
}

/** `cid` is left out for a password. */
function whose({ actor: { id, credential }, epoch }: Bearer) {
  return { uid: id, epoch, ...(credential === undefined ? {} : { cid: credential }) };
}

/** One entry for each resource, with the union of what was asked for it. */
function merge(texts: readonly string[]): Scope[] {
  const merged = new Map<string, Scope>();
  for (const scope of texts.map(parseScope)) {
    if (scope === undefined) continue;
    const key = `${scope.type}:${scope.name}`;
    const actions = new Set([...(merged.get(key)?.actions ?? []), ...scope.actions]);
    merged.set(key, { ...scope, actions: [...actions] });
  }
  return [...merged.values()];
}

function tryParse(name: string) {
  try {
    return parseRepositoryName(name);
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}
