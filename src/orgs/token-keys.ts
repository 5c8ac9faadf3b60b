import { type CryptoKey, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import type { Confirm } from "../storage/database.ts";
import type { KeyAdding, PublicTokenKey, TokenKeysStore } from "./token-keys-store.ts";

export const tokenAlgorithm = "ES256";

/** How long a process may go on with what it read of the keys. */
const staleMs = 5_000;
/** Tokens signed by a process that had not yet seen a rotation, and clocks that differ. */
const graceSeconds = 60;
const maxKnownKeys = 100;

export interface TokenKeysOptions {
  readonly store: TokenKeysStore;
  readonly tokenTtlSeconds: number;
  readonly now: () => Date;
}

interface SigningKey {
  readonly kid: string;
  readonly key: CryptoKey;
  readonly readAt: number;
}

interface VerifyingKey {
  readonly key: CryptoKey;
  readonly readAt: number;
}

/**
 * The keys of the token service as this process knows them. Rows are the truth: the signing key is read again every few
 * seconds, an unknown key id at once, a known one every few seconds too, so that a retired key stops everywhere.
 */
export class TokenKeys {
  readonly #options: TokenKeysOptions;
  readonly #verifying = new Map<string, VerifyingKey>();
  #signing: SigningKey | undefined;

  constructor(options: TokenKeysOptions) {
    this.#options = options;
  }

  /** Makes the first key of a new installation. */
  async ensure(): Promise<void> {
    if ((await this.#options.store.findSigning()) === undefined)
      await this.#add({ onlyIfNone: true, confirm: undefined });
  }

  /** A new key signs from now on; returns its id. Tokens signed before stay good until they end. */
  async rotate(confirm: Confirm): Promise<string> {
    const kid = await this.#add({ onlyIfNone: false, confirm });
    this.#signing = undefined;
    return kid;
  }

  async signingKey(): Promise<{ readonly kid: string; readonly key: CryptoKey }> {
    const now = this.#options.now().getTime();
    if (this.#signing !== undefined && now - this.#signing.readAt < staleMs) return this.#signing;
    const row = await this.#options.store.findSigning();
    if (row === undefined) throw new Error("no token key signs: the token service was not opened");
    const key = await toCryptoKey(row.privateJwk);
    this.#signing = { kid: row.kid, key, readAt: now };
    return this.#signing;
  }

  /** Undefined for a key that is not ours, or was retired so long ago that none of its tokens can still be good. */
  async find(kid: string): Promise<CryptoKey | undefined> {
    const now = this.#options.now().getTime();
    const known = this.#verifying.get(kid);
    if (known !== undefined && now - known.readAt < staleMs) return known.key;
    this.#verifying.delete(kid);
    const row = await this.#options.store.find(kid);
    if (row === undefined || (row.retiredAt !== undefined && row.retiredAt <= this.#oldestRetirement()))
      return undefined;
    if (this.#verifying.size >= maxKnownKeys) this.#verifying.clear();
    const key = await toCryptoKey(row.publicJwk);
    this.#verifying.set(kid, { key, readAt: now });
    return key;
  }

  /** The public keys that verify now. @see RFC 7517 section 5 */
  async jwks(): Promise<{ readonly keys: readonly JWK[] }> {
    const keys = await this.#options.store.list(this.#oldestRetirement());
    return { keys: keys.map(toPublishedJwk) };
  }

  #oldestRetirement(): Date {
    return new Date(this.#options.now().getTime() - (this.#options.tokenTtlSeconds + graceSeconds) * 1000);
  }

  async #add(adding: KeyAdding): Promise<string> {
    const { publicKey, privateKey } = await generateKeyPair(tokenAlgorithm, { extractable: true });
    const publicJwk = await exportJWK(publicKey);
    const kid = await calculateJwkThumbprint(publicJwk);
    const key = { kid, publicJwk: { ...publicJwk }, privateJwk: { ...(await exportJWK(privateKey)) } };
    await this.#options.store.add(key, this.#options.now(), adding);
    return kid;
  }
}

async function toCryptoKey(jwk: Readonly<Record<string, unknown>>): Promise<CryptoKey> {
  const key = await importJWK({ ...jwk } as JWK, tokenAlgorithm);
  if (key instanceof Uint8Array) throw new Error("a stored token key is not an EC key");
  return key;
}

function toPublishedJwk({ kid, publicJwk }: PublicTokenKey): JWK {
  return { ...publicJwk, kid, alg: tokenAlgorithm, use: "sig" } as JWK;
}
