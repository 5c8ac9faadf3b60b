import { createHmac, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Log } from "../../http/log.ts";
import { nobodysHash, type Passwords } from "../passwords.ts";
import { type Directory, DirectoryAwayError, type DirectoryEntry } from "./directory.ts";
import { foldName, isDirectoryName } from "./directory-names.ts";
import { type DirectoryStore, type DirectoryUser, NameCollisionError, type UserOfEntry } from "./directory-store.ts";

export type DirectoryOutcome =
  /** `name` of ours, which may be spelt differently from what was typed. */
  | { readonly kind: "right"; readonly name: string }
  | { readonly kind: "wrong" }
  /** Nobody could say; `counts` where the password was not the one that is remembered either. */
  | { readonly kind: "away"; readonly counts: boolean };

export interface DirectorySignInDeps {
  readonly directories: readonly Directory[];
  readonly store: DirectoryStore;
  readonly passwords: Passwords;
  /** Brings what rules give the user up to date with the entry. */
  readonly joinTeams: (directory: Directory, user: UserOfEntry, entry: DirectoryEntry) => Promise<void>;
  readonly log: Log;
  readonly now: () => Date;
}

const WRONG: DirectoryOutcome = { kind: "wrong" };
/** A password that the directory took is not asked about again for so long, so a changed one lives on for that. */
const rememberMs = 60_000;
const maxPasswordBytes = 1024;

/**
 * Signs users in by directories. A directory that answers has the last word; one that cannot be reached is stood in for
 * by an argon2id hash of the password it took last, for `graceMinutes` after it did.
 */
export class DirectorySignIn {
  readonly #deps: DirectorySignInDeps;
  readonly #remembered = new LRUCache<string, string>({ max: 4096, ttl: rememberMs });
  readonly #memoryKey = randomBytes(32);

  constructor(deps: DirectorySignInDeps) {
    this.#deps = deps;
  }

  findRemembered(typed: string, password: string, source: string): string | undefined {
    return this.#remembered.get(this.#keyOf(typed, password, source));
  }

  async signIn(typed: string, password: string, source: string): Promise<DirectoryOutcome> {
    if (password === "" || Buffer.byteLength(password) > maxPasswordBytes || !isDirectoryName(typed)) return WRONG;
    const folded = foldName(typed);
    const known = folded === undefined ? undefined : await this.#deps.store.find(folded);
    const outcome =
      known === undefined ? await this.#signInNew(typed, password) : await this.#signInKnown(known, password);
    if (outcome.kind === "right") this.#remembered.set(this.#keyOf(typed, password, source), outcome.name);
    return outcome;
  }

  async #signInKnown(known: DirectoryUser, password: string): Promise<DirectoryOutcome> {
    const directory = this.#deps.directories.find(({ config }) => config.name === known.directory);
    if (directory === undefined) return WRONG;
    try {
      const entry = await directory.findById(known.externalId);
      if (entry !== undefined && (await directory.verify(entry.dn, password))) {
        await this.#welcome(directory, known, entry, password);
        return { kind: "right", name: known.name };
      }
      // The directory says no to what it took before: its word from then is void.
      if (entry === undefined || (await this.#matchesGrace(known, password)))
        await this.#deps.store.forget(known.userId);
      return WRONG;
    } catch (error) {
      if (!(error instanceof DirectoryAwayError)) throw error;
      this.#deps.log.warn("directory.away", { directory: known.directory, error: error.message });
      return this.#byGrace(directory, known, password);
    }
  }

  async #byGrace(directory: Directory, known: DirectoryUser, password: string): Promise<DirectoryOutcome> {
    const { graceMinutes } = directory.config;
    const endsAt = (known.verifiedAt?.getTime() ?? 0) + graceMinutes * 60_000;
    if (known.graceHash === undefined || this.#deps.now().getTime() >= endsAt) return { kind: "away", counts: false };
    const right = await this.#matchesGrace(known, password);
    return right ? { kind: "right", name: known.name } : { kind: "away", counts: true };
  }

  async #matchesGrace({ userId, graceHash }: DirectoryUser, password: string): Promise<boolean> {
    if (graceHash === undefined) return false;
    return this.#deps.passwords.verify({ id: userId, passwordHash: graceHash }, password);
  }

  /** The first directory that has the name decides. One that is away might have it, so those after it are not asked. */
  async #signInNew(typed: string, password: string): Promise<DirectoryOutcome> {
    try {
      for (const directory of this.#deps.directories) {
        const entry = await directory.findUser(typed);
        if (entry !== undefined) return await this.#signInEntry(directory, entry, password);
      }
      return WRONG;
    } catch (error) {
      if (!(error instanceof DirectoryAwayError)) throw error;
      this.#deps.log.warn("directory.away", { error: error.message });
      return { kind: "away", counts: false };
    }
  }

  async #signInEntry(directory: Directory, entry: DirectoryEntry, password: string): Promise<DirectoryOutcome> {
    const name = foldName(entry.name);
    if (!(await directory.verify(entry.dn, password))) return WRONG;
    if (name === undefined) {
      this.#deps.log.warn("directory.name-refused", { directory: directory.config.name, dn: entry.dn });
      return WRONG;
    }
    try {
      const user = await this.#deps.store.ensure(directory.config.name, name, entry, nobodysHash);
      await this.#welcome(directory, user, entry, password);
      return { kind: "right", name: user.name };
    } catch (error) {
      if (!(error instanceof NameCollisionError)) throw error;
      this.#deps.log.warn("directory.name-refused", { directory: directory.config.name, error: error.message });
      return WRONG;
    }
  }

  async #welcome(directory: Directory, user: UserOfEntry, entry: DirectoryEntry, password: string): Promise<void> {
    const { store, passwords, joinTeams, now, log } = this.#deps;
    const graceHash = directory.config.graceMinutes === 0 ? undefined : await passwords.hash(password);
    await store.markVerified(user.userId, entry.dn, graceHash, now());
    try {
      await joinTeams(directory, user, entry);
    } catch (error) {
      // The teams of the last sync stay; the password was right all the same.
      if (!(error instanceof DirectoryAwayError)) throw error;
      log.warn("directory.away", { directory: directory.config.name, error: error.message });
    }
  }

  #keyOf(typed: string, password: string, source: string): string {
    return createHmac("sha256", this.#memoryKey)
      .update(JSON.stringify([typed, password, source]))
      .digest("base64");
  }
}
