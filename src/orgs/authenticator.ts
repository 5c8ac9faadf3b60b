import { type Actor, ANONYMOUS } from "../oci/access.ts";
import { isNamespaceName } from "../oci/repository-name.ts";
import type { AccessFacts, AccessKey, FindAccess } from "./access-lookup.ts";
import type { Credentials } from "./credentials.ts";
import type { Passwords } from "./passwords.ts";
import type { SignInLimits } from "./sign-in-limits.ts";
import type { TokenVerifier } from "./token-verifier.ts";

/** Who a request is from, with the rows that its permission is decided by. */
export interface Identity {
  readonly actor: Actor;
  readonly facts: AccessFacts;
  /** How the actor was recognised. */
  readonly by: "nothing" | "password" | "token";
  /** Only for `token`: whether it names the list of repositories. */
  readonly catalog: boolean;
}

export interface NameAndPassword {
  readonly name: string;
  readonly password: string;
}
/** What a request concerns; a repository "" is none. */
export type About = Pick<AccessKey, "repository" | "namespace">;
const NOTHING: About = { repository: "" };

export interface AuthenticatorDeps {
  readonly findAccess: FindAccess;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  readonly tokens: TokenVerifier;
}

export class Authenticator {
  readonly #deps: AuthenticatorDeps;

  constructor(deps: AuthenticatorDeps) {
    this.#deps = deps;
  }

  /**
   * Undefined when the credentials are bad in whatever way; what the request is about is read in the same query.
   * @throws OciError TOOMANYREQUESTS after too many bad passwords
   */
  async identify(credentials: Credentials, source: string, about: About = NOTHING): Promise<Identity | undefined> {
    if (credentials.kind === "malformed") return undefined;
    if (credentials.kind === "basic") return this.byPassword(credentials, source, about);
    if (credentials.kind === "bearer") return this.#byToken(credentials.token, about);
    const facts = await this.#deps.findAccess({ user: "", ...about });
    return { actor: ANONYMOUS, facts, by: "nothing", catalog: false };
  }

  /** Unknown and suspended users take the same path and the same time as a wrong password. */
  async byPassword(
    { name, password }: NameAndPassword,
    source: string,
    about: About = NOTHING,
  ): Promise<Identity | undefined> {
    const { findAccess, passwords, limits } = this.#deps;
    const attempt = { account: name, source };
    const admit = () => limits.admit(attempt);
    const [facts] = await Promise.all([findAccess({ user: isNamespaceName(name) ? name : "", ...about }), admit()]);
    const right = await passwords.verify(facts.user, password, { source, admit });
    if (!right || facts.user === undefined || facts.user.suspended) {
      await limits.count(attempt);
      return undefined;
    }
    return { actor: { kind: "user", id: facts.user.id, name: facts.user.name }, facts, by: "password", catalog: false };
  }

  async #byToken(token: string, about: About): Promise<Identity | undefined> {
    const claims = await this.#deps.tokens.verify(token);
    if (claims === undefined) return undefined;
    const { name, userId, epoch, repositories: scope, catalog } = claims;
    const facts = await this.#deps.findAccess({ user: userId === 0 ? "" : name, ...about });
    if (userId === 0) return { actor: { ...ANONYMOUS, scope }, facts, by: "token", catalog };
    const { user } = facts;
    if (user === undefined || user.id !== userId || user.suspended || user.tokenEpoch !== epoch) return undefined;
    return { actor: { kind: "user", id: userId, name, scope }, facts, by: "token", catalog };
  }
}
