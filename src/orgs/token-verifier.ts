import { hash } from "node:crypto";
import { decodeProtectedHeader, errors, type JWTPayload, jwtVerify, type ProtectedHeaderParameters } from "jose";
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { type Actor, ANONYMOUS, type NamedActions } from "../oci/access.ts";
import { LastingKey } from "./access-lookup.ts";
import { principalKey } from "./authorize.ts";
import { type TokenKeys, tokenAlgorithm } from "./token-keys.ts";

/** Tells our access tokens from whatever else may be signed with the same key one day. @see RFC 9068 section 2.1 */
export const accessTokenType = "at+jwt";

export interface TokenSettings {
  /** `iss`: the public URL. */
  readonly issuer: string;
  /** `aud`. */
  readonly service: string;
  readonly tokenTtlSeconds: number;
}

/** What one of our tokens says, after its signature and every claim were checked. */
export interface TokenClaims {
  /** Whose it is, with what it names; anonymous where nobody signed in to get it. */
  readonly actor: Actor;
  readonly catalog: boolean;
  /** What to ask for its rights on each repository that it names. */
  readonly keys: ReadonlyMap<string, LastingKey>;
  readonly expiresAtSeconds: number;
}

export interface TokenVerifierOptions extends TokenSettings {
  readonly keys: TokenKeys;
  readonly now: () => Date;
}

/** Clocks of the processes that issue and those that verify. */
const clockToleranceSeconds = 10;
const maxTokenLength = 64 * 1024;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const ALLOWED_HEADERS = new Set(["alg", "kid", "typ"]);

const payloadSchema = z.object({
  sub: z.string().min(1),
  aud: z.string(),
  iat: z.int(),
  nbf: z.int(),
  exp: z.int(),
  jti: z.string().min(1),
  uid: z.int().nonnegative(),
  cid: z.int().positive().optional(),
  epoch: z.int().nonnegative(),
  access: z.array(
    z.object({
      type: z.string(),
      name: z.string(),
      actions: z.array(z.string()),
      epoch: z.int().nonnegative().default(0),
    }),
  ),
});

/**
 * Reads the access tokens that the token service issued. A token that was verified is remembered by its hash until it
 * ends; whether its user still is who it says, and may still do it, is read from the database by the caller.
 */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions;
  readonly #verified = new LRUCache<string, TokenClaims>({ max: 10_000 });

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
  }

  /** Undefined for anything but a good token. */
  async verify(token: string): Promise<TokenClaims | undefined> {
    if (token.length > maxTokenLength) return undefined;
    const key = hash("sha256", token, "base64");
    const known = this.#verified.get(key);
    const claims = known ?? (await this.#read(token));
    if (claims === undefined || this.#isOver(claims)) return undefined;
    if (known === undefined) this.#verified.set(key, claims);
    return claims;
  }

  #isOver({ expiresAtSeconds }: TokenClaims): boolean {
    return this.#options.now().getTime() / 1000 >= expiresAtSeconds + clockToleranceSeconds;
  }

  async #read(token: string): Promise<TokenClaims | undefined> {
    const kid = findKeyId(token);
    const key = kid === undefined ? undefined : await this.#options.keys.find(kid);
    if (key === undefined) return undefined;
    try {
      const { issuer, service, tokenTtlSeconds, now } = this.#options;
      const { payload } = await jwtVerify(token, key, {
        algorithms: [tokenAlgorithm],
        typ: accessTokenType,
        issuer,
        audience: service,
        clockTolerance: clockToleranceSeconds,
        currentDate: now(),
        maxTokenAge: tokenTtlSeconds,
        requiredClaims: ["sub", "aud", "iat", "nbf", "exp", "jti"],
      });
      return toClaims(payload, tokenTtlSeconds);
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined;
      throw error;
    }
  }
}

/**
 * The key id of a token that is exactly as we write them. A header that brings a key, or a place to fetch one from
 * (`jwk`, `jku`, `x5c`, `x5u`), or an extension (`crit`) is refused before anything is looked up.
 */
function findKeyId(token: string): string | undefined {
  if (!COMPACT.test(token) || !token.split(".").every(isCanonical)) return undefined;
  const header = readHeader(token);
  if (header === undefined || !Object.keys(header).every((name) => ALLOWED_HEADERS.has(name))) return undefined;
  if (header.alg !== tokenAlgorithm || header.typ !== accessTokenType) return undefined;
  return typeof header.kid === "string" && /^[A-Za-z0-9_-]{43}$/.test(header.kid) ? header.kid : undefined;
}

/** One text for one token: base64url with loose bits at the end decodes to the same bytes. */
function isCanonical(part: string): boolean {
  return Buffer.from(part, "base64url").toString("base64url") === part;
}

function readHeader(token: string): ProtectedHeaderParameters | undefined {
  try {
    return decodeProtectedHeader(token);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function toClaims(payload: JWTPayload, tokenTtlSeconds: number): TokenClaims | undefined {
  const parsed = payloadSchema.safeParse(payload);
  if (!parsed.success || parsed.data.exp - parsed.data.iat > tokenTtlSeconds) return undefined;
  const { sub, uid, cid, epoch, access, exp } = parsed.data;
  const scope = new Map<string, NamedActions>();
  for (const { type, name, actions, epoch } of access) {
    if (type === "repository") scope.set(name, { actions: new Set(actions), epoch });
  }
  const catalog = access.some(
    ({ type, name, actions }) => type === "registry" && name === "catalog" && actions.includes("*"),
  );
  const actor = uid === 0 ? { ...ANONYMOUS, scope } : toActor(sub, { id: uid, credential: cid, epoch, scope });
  const principal = principalKey(actor);
  const keys = new Map([...scope.keys()].map((name) => [name, new LastingKey({ ...principal, repository: name })]));
  return { actor, catalog, keys, expiresAtSeconds: exp };
}

/** No user's name has a `+`, and every robot's has. */
function toActor(name: string, claims: Omit<Actor, "kind" | "name">): Actor {
  return { kind: name.includes("+") ? "robot" : "user", name, ...claims };
}
