import { connect, isIP } from "node:net";
import {
  AndFilter,
  BerReader,
  Client,
  type ClientOptions,
  type Entry,
  EqualityFilter,
  type Filter,
  FilterParser,
  OrFilter,
  ResultCodeError,
} from "ldapts";
import type { DirectoryConfig } from "./directory-config.ts";
import { normalDn } from "./directory-names.ts";
import { nestedMembers } from "./group-tree.ts";

/** A person in a directory. */
export interface DirectoryEntry {
  readonly dn: string;
  /** As the directory writes it. */
  readonly name: string;
  readonly externalId: string;
}

/** The directory could not be asked; whatever was to be found out is not known. */
export class DirectoryAwayError extends Error {}

export interface DirectorySecrets {
  readonly bindPassword: string;
  /** PEM. */
  readonly ca: string | undefined;
}

/** Of all who could sign in: only those in `base`, only those whom `filter` matches too. */
export interface Narrower {
  readonly base?: string | undefined;
  readonly filter?: string | undefined;
}

/** Undefined: it is a filter. The library takes some that lack parentheses. @see RFC 4515 */
export function findFilterMistake(filter: string): string | undefined {
  // In a value they are written \28 and \29.
  if (filter.split("(").length !== filter.split(")").length) return "not as many ( as )";
  try {
    FilterParser.parseString(filter);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

const pageSize = 500;
/**
 * Of a bind: constraintViolation and unwillingToPerform (how some servers say that an account is locked or disabled),
 * noSuchObject, inappropriateAuthentication, invalidCredentials, insufficientAccessRights. @see RFC 4511 appendix A
 */
const REFUSALS = new Set([19, 32, 48, 49, 50, 53]);

/** One LDAP server, asked over a fresh connection each time: nothing of one answer is left for the next. */
export class Directory {
  readonly config: DirectoryConfig;
  readonly #secrets: DirectorySecrets;

  constructor(config: DirectoryConfig, secrets: DirectorySecrets) {
    this.config = config;
    this.#secrets = secrets;
  }

  /** The one entry of that name. @throws DirectoryAwayError */
  findUser(name: string): Promise<DirectoryEntry | undefined> {
    return this.#asReader(async (client) => {
      const { base, name: attribute } = this.config.users;
      const filter = this.#userFilter(new EqualityFilter({ attribute, value: name }));
      const { searchEntries } = await client.search(base, {
        scope: "sub",
        filter,
        sizeLimit: 2,
        attributes: this.#userAttributes(),
      });
      return searchEntries.length === 1 ? this.#toEntry(searchEntries[0]) : undefined;
    });
  }

  /** The entry that has had this id all along, whatever it is called now. @throws DirectoryAwayError */
  findById(externalId: string, narrower: Narrower = {}): Promise<DirectoryEntry | undefined> {
    return this.#asReader(async (client) => {
      const { base, id: attribute } = this.config.users;
      const filter = this.#userFilter(new EqualityFilter({ attribute, value: fromId(externalId) }), ...own(narrower));
      const { searchEntries } = await client.search(narrower.base ?? base, {
        scope: "sub",
        filter,
        sizeLimit: 2,
        attributes: this.#userAttributes(),
      });
      return searchEntries.length === 1 ? this.#toEntry(searchEntries[0]) : undefined;
    });
  }

  /** Whether the directory takes this password. @throws DirectoryAwayError */
  async verify(dn: string, password: string): Promise<boolean> {
    // A bind without a password is anonymous and always succeeds. @see RFC 4513 section 5.1.2
    if (password === "") return false;
    return this.#connected(async (client) => {
      try {
        await client.bind(dn, password);
        return true;
      } catch (error) {
        if (error instanceof ResultCodeError && REFUSALS.has(error.code)) return false;
        throw error;
      }
    });
  }

  /** Everyone who could sign in. @throws DirectoryAwayError */
  listUsers(narrower: Narrower = {}): Promise<DirectoryEntry[]> {
    return this.#asReader(async (client) => {
      const { searchEntries } = await client.search(narrower.base ?? this.config.users.base, {
        scope: "sub",
        filter: this.#userFilter(...own(narrower)),
        paged: { pageSize },
        attributes: this.#userAttributes(),
      });
      return searchEntries.map((entry) => this.#toEntry(entry)).filter((entry) => entry !== undefined);
    });
  }

  /** DNs of all that are in each group, directly or by groups in it. @throws DirectoryAwayError */
  async listMembers(groupDns: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const { groups } = this.config;
    if (groups === undefined || groupDns.length === 0) return new Map();
    const { base, filter, member } = groups;
    const direct = await this.#asReader(async (client) => {
      const { searchEntries } = await client.search(base, {
        scope: "sub",
        filter,
        paged: { pageSize },
        attributes: [member],
      });
      return searchEntries.map((entry) => [entry.dn, textsOf(entry, member)] as const);
    });
    return nestedMembers(new Map(direct), groupDns);
  }

  /** Those of `groupDns` that `dn` is in, directly or by other groups. @throws DirectoryAwayError */
  async groupsOf(dn: string, groupDns: readonly string[]): Promise<string[]> {
    const { groups } = this.config;
    if (groups === undefined || groupDns.length === 0) return [];
    const { base, filter, member } = groups;
    return this.#asReader(async (client) => {
      const found = new Set<string>();
      for (let level = [dn]; level.length > 0; ) {
        const holders = new OrFilter({
          filters: level.map((value) => new EqualityFilter({ attribute: member, value })),
        });
        const wanted = new AndFilter({ filters: [FilterParser.parseString(filter), holders] });
        const { searchEntries } = await client.search(base, {
          scope: "sub",
          filter: wanted,
          paged: { pageSize },
          attributes: ["1.1"],
        });
        level = searchEntries.map((entry) => entry.dn).filter((group) => !found.has(normalDn(group)));
        for (const group of level) found.add(normalDn(group));
      }
      return groupDns.filter((group) => found.has(normalDn(group)));
    });
  }

  #userFilter(...more: readonly Filter[]): AndFilter {
    return new AndFilter({ filters: [FilterParser.parseString(this.config.users.filter), ...more] });
  }

  #userAttributes(): string[] {
    const { name, id } = this.config.users;
    return [name, id];
  }

  #toEntry(entry: Entry | undefined): DirectoryEntry | undefined {
    if (entry === undefined) return undefined;
    const { name, id } = this.config.users;
    const [[first], [externalId]] = [textsOf(entry, name), textsOf(entry, id)];
    return first === undefined || externalId === undefined ? undefined : { dn: entry.dn, name: first, externalId };
  }

  #asReader<T>(work: (client: Client) => Promise<T>): Promise<T> {
    return this.#connected(async (client) => {
      await client.bind(this.config.bindDn, this.#secrets.bindPassword);
      return work(client);
    });
  }

  async #connected<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const { url, startTls, timeoutSeconds } = this.config;
    const host = new URL(url).hostname.replace(/^\[|\]$/g, "");
    const tlsOptions = {
      ...(this.#secrets.ca === undefined ? {} : { ca: this.#secrets.ca }),
      minVersion: "TLSv1.2",
      // StartTLS begins on a socket that knows no name: the certificate must be for this one.
      host,
      ...(isIP(host) === 0 && { servername: host }),
    } as const;
    const timeout = timeoutSeconds * 1000;
    const line = openLine();
    const options: ClientOptions = { url, timeout, connectTimeout: timeout, createConnection: line.connect };
    const client = new Client(url.startsWith("ldaps:") ? { ...options, tlsOptions } : options);
    try {
      if (startTls) {
        await inTime(client.startTLS({ ...tlsOptions }), timeout);
        mustBeOneAnswer(line.heard());
      }
      return await work(client);
    } catch (cause) {
      throw new DirectoryAwayError(`directory ${this.config.name}: ${messageOf(cause)}`, { cause });
    } finally {
      await client.unbind().catch(() => undefined);
    }
  }
}

/**
 * One connection for each client, and what was heard on it in the clear. ldapts connects anew by itself when a connection
 * is lost, and does not encrypt the new one where the old one was by StartTLS: whoever cuts it would then be sent the
 * password in the clear.
 */
function openLine() {
  let isUsed = false;
  const heard: Buffer[] = [];
  const connectOnce = ((...args: Parameters<typeof connect>) => {
    if (isUsed) throw new Error("the connection was lost");
    isUsed = true;
    return connect(...args).on("data", (data: Buffer) => heard.push(data));
  }) as typeof connect;
  return { connect: connectOnce, heard: () => Buffer.concat(heard) };
}

/**
 * ldapts keeps what it read beyond the answer to StartTLS, and reads on from there in the encrypted part: the beginning
 * of an answer that somebody put there would turn "wrong password" into "right".
 * @see RFC 4511 section 4.14.2
 */
function mustBeOneAnswer(heard: Buffer): void {
  const reader = new BerReader(heard);
  if (reader.readSequence() === null || reader.remain !== reader.length)
    throw new Error("something was said in the clear after StartTLS");
}

function own({ filter }: Narrower): Filter[] {
  return filter === undefined ? [] : [FilterParser.parseString(filter)];
}

async function inTime(work: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`no answer for ${ms} ms`)), ms);
  await Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}

const BYTES = /^0x((?:[0-9a-f]{2})*)$/;

/** Active Directory's objectGUID is bytes, most often no text; they are looked for as the bytes that they are. */
function toId(value: Buffer | string): string {
  if (typeof value === "string" && !BYTES.test(value)) return value;
  return `0x${Buffer.from(value).toString("hex")}`;
}

function fromId(id: string): Buffer | string {
  const [, hex] = BYTES.exec(id) ?? [];
  return hex === undefined ? id : Buffer.from(hex, "hex");
}

function textsOf(entry: Entry, attribute: string): string[] {
  const wanted = attribute.toLowerCase();
  const value = Object.entries(entry).find(([name]) => name.toLowerCase() === wanted)?.[1];
  const values = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return values.map(toId);
}

function messageOf(cause: unknown): string {
  if (cause instanceof ResultCodeError) return `${cause.name} (${cause.code})`;
  return cause instanceof Error ? cause.message : String(cause);
}
