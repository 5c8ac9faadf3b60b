import { type Actor, ANONYMOUS } from "../oci/access.ts";
import { OciError } from "../oci/error.ts";
import { isNamespaceName } from "../oci/repository-name.ts";
import type { AccessFacts, AccessKey, FindAccess, Looked } from "./access-lookup.ts";
import { principalKey, stands } from "./authorize.ts";
import type { Credentials } from "./credentials.ts";
import type { DirectoryOutcome, DirectorySignIn } from "./ldap/directory-sign-in.ts";
import { nobodysHash, type Passwords, type VerifyAttempt } from "./passwords.ts";
import { looksLikeSecret } from "./secrets.ts";
import type { FindSecret } from "./secrets-lookup.ts";
import type { Attempt, SignInLimits } from "./sign-in-limits.ts";
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

export interface NameAndPassword {
  readonly name: string;
  readonly password: string;
}
/** What a request concerns; a repository "" is none. */
export interface About extends Pick<AccessKey, "repository" | "namespace"> {
  /** Reads the version of the rights for this very request; used where nothing else has to be asked before. */
  readonly looked?: Looked | undefined;
}
const NOTHING: About = { repository: "" };

export interface AuthenticatorDeps {
  readonly findAccess: FindAccess;
  readonly findSecret: FindSecret;
  readonly passwords: Passwords;
  readonly limits: SignInLimits;
  /** Undefined: all users are local. */
  readonly directories: DirectorySignIn | undefined;
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
    const facts = await this.#deps.findAccess({ user: "", ...about }, about.looked);
    return { actor: ANONYMOUS, facts, by: "nothing", catalog: false };
  }

  /** As REST does: a bearer token is a personal one or a robot's secret, never one of the token service. */
  async identifyForRest(credentials: Credentials, source: string, about: About): Promise<Identity | undefined> {
    if (credentials.kind === "basic") return this.byPassword(credentials, source, about);
    if (credentials.kind === "bearer" && looksLikeSecret(credentials.token))
      return this.#bySecret(credentials.token, about);
    return undefined;
  }

  /** Unknown and suspended users take the same path and the same time as a wrong password. */
  async byPassword(
    { name, password }: NameAndPassword,
    source: string,
    about: About = NOTHING,
  ): Promise<Identity | undefined> {
    // Nobody guesses 256 random bits, so the limits are for passwords.
    if (looksLikeSecret(password)) return this.#bySecret(password, about, name);
    const { findAccess, passwords, limits } = this.#deps;
    const attempt = { account: name, source };
    const admit = () => limits.admit(attempt);
    const [facts] = await Promise.all([findAccess({ user: isNamespaceName(name) ? name : "", ...about }), admit()]);
    const isLocal = facts.user !== undefined && facts.user.passwordHash !== nobodysHash;
    const { directories } = this.#deps;
    if (directories === undefined || isLocal) {
      const right = await passwords.verify(facts.user, password, { source, admit });
      return right && isLocal ? this.#welcome(facts, attempt) : this.#reject(attempt);
    }
    const outcome = await this.#askDirectories(directories, { name, password }, { source, admit });
    if (outcome.kind === "right") {
      return this.#welcome(await findAccess({ user: outcome.name, ...about }), attempt);
    }
    if (outcome.kind === "wrong" || outcome.counts) await this.#reject(attempt);
    if (outcome.kind === "wrong") return undefined;
    throw new OciError("UNAVAILABLE", {
      message: "the directory that would know this user cannot be reached right now; try again in a moment",
      headers: { "Retry-After": "5" },
    });
  }

  /** Asked while a password is hashed for nobody, in the turn of that: local and other users take the same time. */
  async #askDirectories(
    directories: DirectorySignIn,
    { name, password }: NameAndPassword,
    { source, admit }: Required<VerifyAttempt>,
  ): Promise<DirectoryOutcome> {
    const remembered = directories.findRemembered(name, password, source);
    if (remembered !== undefined) return { kind: "right", name: remembered };
    let asked: Promise<DirectoryOutcome> | undefined;
    const ask = () => directories.signIn(name, password, source);
    await this.#deps.passwords.verify(undefined, password, {
      source,
      admit: async () => {
        await admit();
        asked = ask();
        // Awaited below; until then nobody minds.
        asked.catch(() => undefined);
      },
    });
    return password === "" ? { kind: "wrong" } : (asked ?? ask());
  }

  async #welcome(facts: AccessFacts, attempt: Attempt): Promise<Identity | undefined> {
    const { user } = facts;
    if (user === undefined || user.suspended) return this.#reject(attempt);
    const actor: Actor = { kind: "user", id: user.id, name: user.name, epoch: user.tokenEpoch };
    return { actor, facts, by: "password", catalog: false };
  }

  async #reject(attempt: Attempt): Promise<undefined> {
    await this.#deps.limits.count(attempt);
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
    const lasting = about.namespace === undefined ? claims.keys.get(about.repository) : undefined;
    const facts = await this.#deps.findAccess(lasting ?? { ...principalKey(claims.actor), ...about }, about.looked);
    if (!stands(claims.actor, facts)) return undefined;
    return { actor: claims.actor, facts, by: "token", catalog: claims.catalog };
  }
}
