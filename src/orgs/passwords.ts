import { argon2, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { LRUCache } from "lru-cache";
import { OciError } from "../oci/error.ts";

const derive = promisify(argon2);

/** OWASP "Password Storage Cheat Sheet": argon2id with 19 MiB, two passes, one lane. */
const cost = { memory: 19_456, passes: 2, parallelism: 1 };
const saltBytes = 16;
const tagBytes = 32;
export const maxPasswordBytes = 1024;

/** Every verification holds a thread of libuv's pool for some 30 ms; file reads and writes need the others. */
const maxAtOnce = 2;
const maxWaiting = 256;

export interface PasswordOwner {
  readonly id: number;
  readonly passwordHash: string;
}

export interface VerifyAttempt {
  /** What was right from one source is remembered for that one only: others cannot guess at the memory. */
  readonly source?: string;
  /** Asked when the turn comes, which may be long after the request: throws when it is too late to try. */
  readonly admit?: () => Promise<void>;
}

/** Hashes and verifies passwords with argon2id; what was verified once is remembered for this process only. */
export class Passwords {
  readonly #verified = new LRUCache<string, true>({ max: 4096, ttl: 5 * 60_000 });
  readonly #underWay = new Map<string, Promise<boolean>>();
  readonly #cacheKey = randomBytes(32);
  readonly #turns = new Turns();

  async hash(password: string): Promise<string> {
    const nonce = randomBytes(saltBytes);
    const tag = await this.#turns.take(() =>
      derive("argon2id", { message: password, nonce, tagLength: tagBytes, ...cost }),
    );
    return toPhc({ ...cost, nonce, tag });
  }

  /** An unknown `owner` costs what a known one costs, and is never right. */
  async verify(owner: PasswordOwner | undefined, password: string, attempt: VerifyAttempt = {}): Promise<boolean> {
    if (password === "" || Buffer.byteLength(password) > maxPasswordBytes) return false;
    const key = this.#keyOf(owner, password, attempt.source ?? "");
    if (this.#verified.has(key)) return true;
    const running = this.#underWay.get(key) ?? this.#start(key, owner, password, attempt);
    return running;
  }

  #start(key: string, owner: PasswordOwner | undefined, password: string, { admit }: VerifyAttempt): Promise<boolean> {
    const running = this.#turns
      .take(async () => {
        await admit?.();
        return matches(owner?.passwordHash ?? nobodysHash, password);
      })
      .then((right) => {
        if (right && owner !== undefined) this.#verified.set(key, true);
        return right && owner !== undefined;
      })
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, running);
    return running;
  }

  /** Made of the stored hash too: a changed password, or another user with the old name, never meets an old entry. */
  #keyOf(owner: PasswordOwner | undefined, password: string, source: string): string {
    const parts = JSON.stringify([owner?.id ?? 0, owner?.passwordHash ?? "", password, source]);
    return createHmac("sha256", this.#cacheKey).update(parts).digest("base64");
  }
}

/** At most {@link maxAtOnce} at a time, the others in the order they came, and not without end. */
class Turns {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < maxAtOnce) this.#running++;
    else await this.#wait();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #wait(): Promise<void> {
    if (this.#waiting.length >= maxWaiting) {
      throw new OciError("TOOMANYREQUESTS", {
        message: "too many sign-ins at once; try again in a moment",
        headers: { "Retry-After": "2" },
      });
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

interface Phc {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
  readonly nonce: Buffer;
  readonly tag: Buffer;
}

async function matches(phc: string, password: string): Promise<boolean> {
  const { tag, ...parameters } = parsePhc(phc);
  const found = await derive("argon2id", { message: password, tagLength: tag.length, ...parameters });
  return timingSafeEqual(found, tag);
}

function toPhc({ memory, passes, parallelism, nonce, tag }: Phc): string {
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(nonce)}$${unpadded(tag)}`;
}

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

function parsePhc(text: string): Phc {
  const [, memory, passes, parallelism, nonce, tag] = PHC.exec(text) ?? [];
  if (nonce === undefined || tag === undefined) throw new Error("a stored password hash is not an argon2id string");
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    nonce: Buffer.from(nonce, "base64"),
    tag: Buffer.from(tag, "base64"),
  };
}

function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}

/** No password has this hash. Users of a directory have it: see ldap/. */
export const nobodysHash = toPhc({ ...cost, nonce: Buffer.alloc(saltBytes), tag: Buffer.alloc(tagBytes) });
