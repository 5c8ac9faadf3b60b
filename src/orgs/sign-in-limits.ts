import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import { OciError } from "../oci/error.ts";
import { BatchedLookup } from "../storage/batched-lookup.ts";
import type { Database } from "../storage/database.ts";

/** Bad passwords that an account, and a source, may have within {@link windowMs}. */
export const maxFailures = 10;
const windowMs = 60_000;

/** Who tries to sign in, and from where. */
export interface Attempt {
  /** As it was typed, whether or not there is such a user. */
  readonly account: string;
  /** Address of whoever asks, as http/client-address.ts found it: a header counts only of a proxy that is trusted. */
  readonly source: string;
}

interface Key {
  readonly kind: "account" | "source";
  readonly hash: Buffer;
}

/**
 * Limits how fast passwords can be guessed: ten bad ones a minute for an account and ten for a source, over all
 * processes. A source above its limit is not listened to at all. An account above its limit is closed to sources that
 * guessed wrong within the minute, and open to all others: who knows the password signs in from elsewhere, so nobody
 * can lock another one out by guessing. (owner of `sign_in_failures`)
 * @see OWASP "Blocking Brute Force Attacks"
 */
export class SignInLimits {
  readonly #database: Database;
  readonly #now: () => Date;
  readonly #failures: BatchedLookup<Key, readonly Date[]>;

  constructor(database: Database, now: () => Date) {
    this.#database = database;
    this.#now = now;
    this.#failures = new BatchedLookup<Key, readonly Date[]>(async (keys) => {
      const rows = await database.query<{ failed_at: Date[] | null }>(
        "sign-in-failures",
        `select f.failed_at
         from unnest($1::text[], $2::bytea[]) with ordinality as k (kind, key_hash, position)
         left join sign_in_failures f using (kind, key_hash)
         order by k.position`,
        [keys.map(({ kind }) => kind), keys.map(({ hash }) => hash)],
      );
      return rows.map(({ failed_at }) => failed_at ?? []);
    });
  }

  /** Before a password is looked at. @throws OciError TOOMANYREQUESTS with Retry-After */
  async admit(attempt: Attempt): Promise<void> {
    const [account, source] = await Promise.all([this.#recent(accountKey(attempt)), this.#recent(sourceKey(attempt))]);
    const isClean = source.length === 0;
    if (source.length >= maxFailures) throw this.#tooMany(source);
    if (account.length >= maxFailures && !isClean) throw this.#tooMany(account);
  }

  /**
   * After a password turned out to be wrong, or its user unknown or suspended.
   * @throws OciError TOOMANYREQUESTS when it was one too many: of guesses that were under way together only the first
   *   ten hear that they were wrong
   */
  async count(attempt: Attempt): Promise<void> {
    const now = this.#now();
    const rows = await this.#database.query<{ failed_at: Date[] }>(
      "sign-in-failed",
      `insert into sign_in_failures as f (kind, key_hash, failed_at)
       values ('account', $1, array[$3::timestamptz]), ('source', $2, array[$3::timestamptz])
       on conflict (kind, key_hash) do update
         set failed_at = (array_prepend($3::timestamptz, array(
           select t from unnest(f.failed_at) t where t > $4::timestamptz order by t desc)))[1:$5]
       returning failed_at`,
      [accountKey(attempt).hash, sourceKey(attempt).hash, now, new Date(now.getTime() - windowMs), maxFailures + 1],
    );
    const over = rows.map(({ failed_at }) => failed_at).filter(({ length }) => length > maxFailures);
    if (over.length > 0) throw this.#tooMany(over.flatMap((times) => times.slice(0, maxFailures)));
  }

  /** Rows that no longer limit anybody go: names that are guessed at are without end. */
  async sweep(): Promise<void> {
    await this.#database.query("sign-in-sweep", "delete from sign_in_failures where failed_at[1] < $1", [
      new Date(this.#now().getTime() - 2 * windowMs),
    ]);
  }

  async #recent(key: Key): Promise<readonly Date[]> {
    const since = this.#now().getTime() - windowMs;
    const times = (await this.#failures.find(key)) ?? [];
    return times.filter((time) => time.getTime() > since).slice(0, maxFailures);
  }

  /** `times`: the failures that are too many; the first of them to leave the minute makes room. */
  #tooMany(times: readonly Date[]): OciError {
    const oldest = Math.min(...times.map((time) => time.getTime()));
    const seconds = Math.max(1, Math.ceil((oldest + windowMs - this.#now().getTime()) / 1000));
    return new OciError("TOOMANYREQUESTS", {
      message: `too many wrong passwords for this account or from this address; try again in ${seconds} s`,
      headers: { "Retry-After": String(seconds) },
    });
  }
}

function accountKey({ account }: Attempt): Key {
  // A directory takes many spellings for one name.
  const folded = account.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return { kind: "account", hash: createHash("sha256").update(folded).digest() };
}

function sourceKey({ source }: Attempt): Key {
  return { kind: "source", hash: createHash("sha256").update(toSource(source)).digest() };
}

/** An IPv6 customer has 2^64 addresses at least: the network counts. IPv4 may come dressed as IPv6. */
export function toSource(address: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  return isIPv6(address) ? `${first64Bits(address)}::/64` : address;
}

function first64Bits(address: string): string {
  const [head = "", tail] = (address.split("%")[0] ?? "").toLowerCase().split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill("0"), ...right];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":");
}
