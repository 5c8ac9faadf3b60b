import { type Actor, ANONYMOUS } from "../oci/access.ts";
import { isNamespaceName } from "../oci/repository-name.ts";
import type { AccessFacts, AccessKey, FindAccess } from "./access-lookup.ts";
import { principalKey, stands } from "./authorize.ts";
import type { Credentials } from "./credentials.ts";
import type { Passwords } from "./passwords.ts";
import { looksLikeSecret } from "./secrets.ts";
import type { FindSecret } from "./secrets-lookup.ts";
import type { TokenVerifier } from "./token-verifier.ts";

/** Who a request is from, with the rows that its permission is decided by. */
export interface Identity {
  readonly actor: Actor;
  readonly facts: AccessFacts;
  /** How the actor was recognised: `secret` is a personal token or that of a robot, `token` one of the token service. */
  readonly by: "nothing" | "password" | "secret" | "token";
  /** Only for `token`: whether it names the list of repositories. */
  readonly catalog: boolean;
}

/** What a request concerns; a repository "" is none. */
export type About = Pick<AccessKey, "repository" | "namespace">;
const NOTHING: About = { repository: "" };

export interface AuthenticatorDeps {
  readonly findAccess: FindAccess;
  readonly findSecret: FindSecret;
  readonly passwords: Passwords;
  readonly tokens: TokenVerifier;
}

export class Authenticator {
  readonly #deps: AuthenticatorDeps;

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
  }

  /** Undefined when the credentials are bad in whatever way; what the request is about is read in the same query. */
  async identify(credentials: Credentials, about: About = NOTHING): Promise<Identity | undefined> {
    if (credentials.kind === "malformed") return undefined;
    if (credentials.kind === "basic") return this.byPassword(credentials.name, credentials.password, about);
    if (credentials.kind === "bearer") return this.#byToken(credentials.token, about);
    const facts = await this.#deps.findAccess({ user: "", ...about });
    return { actor: ANONYMOUS, facts, by: "nothing", catalog: false };
  }

  /** As REST does: a bearer token is a personal one or a robot's secret, never one of the token service. */
  async identifyForRest(credentials: Credentials, about: About): Promise<Identity | undefined> {
    if (credentials.kind === "basic") return this.byPassword(credentials.name, credentials.password, about);
    if (credentials.kind === "bearer" && looksLikeSecret(credentials.token))
      return this.#bySecret(credentials.token, about);
    return undefined;
  }

  /** Unknown and suspended users take the same path and the same time as a wrong password. */
  async byPassword(name: string, password: string, about: About = NOTHING): Promise<Identity | undefined> {
    if (looksLikeSecret(password)) return this.#bySecret(password, about, name);
    const facts = await this.#deps.findAccess({ user: isNamespaceName(name) ? name : "", ...about });
    const right = await this.#deps.passwords.verify(facts.user, password);
    if (!right || facts.user === undefined || facts.user.suspended) return undefined;
    return { actor: { kind: "user", id: facts.user.id, name: facts.user.name }, facts, by: "password", catalog: false };
  }

  /** With a `name` the secret must be of that user or robot. */
  async #bySecret(secret: string, about: About, name?: string): Promise<Identity | undefined> {
    const owner = await this.#deps.findSecret(secret);
    if (owner === undefined || (name !== undefined && owner.name !== name)) return undefined;
    const { credential } = owner;
    const facts = await this.#deps.findAccess({ user: owner.name, credential, ...about });
    const found = facts.robot ?? facts.user;
    if (found === undefined) return undefined;
    const kind = facts.robot === undefined ? "user" : "robot";
    const actor: Actor = { kind, id: found.id, name: owner.name, credential };
    return stands(actor, facts) ? { actor, facts, by: "secret", catalog: false } : undefined;
  }

  async #byToken(token: string, about: About): Promise<Identity | undefined> {
    const claims = await this.#deps.tokens.verify(token);
    if (claims === undefined) return undefined;
    const { catalog, epoch } = claims;
    const facts = await this.#deps.findAccess({ ...principalKey(claims.actor), ...about });
    const isOld = claims.actor.kind === "user" && facts.user?.tokenEpoch !== epoch;
    if (isOld || !stands(claims.actor, facts)) return undefined;
    return { actor: claims.actor, facts, by: "token", catalog };
  }
}
