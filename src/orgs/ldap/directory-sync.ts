import { nobodysHash } from "../passwords.ts";
import { type Directory, DirectoryAwayError, type DirectoryEntry } from "./directory.ts";
import { foldName, normalDn } from "./directory-names.ts";
import { type DirectoryStore, type DirectoryUser, NameCollisionError, type UserOfEntry } from "./directory-store.ts";
import { findLastOwners } from "./last-owners.ts";
import { membersByRule, type Place, placesOf, type Rule, rulesFor } from "./sync-rules.ts";

/** What a sync would change, or changed. All names are ours, sorted. */
export interface SyncDiff {
  readonly directory: string;
  /** Users who are made because a rule gives them something. */
  readonly create: readonly string[];
  /** Users whom the directory no longer has. */
  readonly suspend: readonly string[];
  /** Users whom a sync had suspended and the directory has again. */
  readonly restore: readonly string[];
  readonly teams: readonly TeamDiff[];
  readonly owners: readonly OwnersDiff[];
  /** What cannot be done, and why. */
  readonly refused: readonly string[];
}

interface Moved {
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export interface TeamDiff extends Moved {
  readonly team: string;
}

export interface OwnersDiff extends Moved {
  readonly org: string;
}

/** The directory as it is, beside what we know of it. */
interface Picture {
  readonly entries: ReadonlyMap<string, DirectoryEntry>;
  readonly known: ReadonlyMap<string, DirectoryUser>;
  readonly members: ReadonlyMap<Rule, ReadonlySet<string>>;
}

export function isEmpty({ create, suspend, restore, teams, owners }: SyncDiff): boolean {
  return [create, suspend, restore, teams, owners].every(({ length }) => length === 0);
}

/** Brings users and teams in line with one directory. */
export class DirectorySync {
  readonly #store: DirectoryStore;
  readonly #now: () => Date;

  constructor(store: DirectoryStore, now: () => Date) {
    this.#store = store;
    this.#now = now;
  }

  /**
   * With `dryRun` only says what it would do.
   * @throws DirectoryAwayError, also when the directory lists nobody: everyone would be suspended
   */
  async run(directory: Directory, { dryRun }: { readonly dryRun: boolean }): Promise<SyncDiff> {
    const picture = await this.#look(directory);
    const refused: string[] = [];
    const users = await this.#settleUsers(directory, picture, refused, dryRun);
    const teams: TeamDiff[] = [];
    const owners: OwnersDiff[] = [];
    for (const place of placesOf(directory.config, this.#store)) {
      const moved = await this.#syncPlace(directory, place, picture, { refused, dryRun });
      if (moved === undefined) continue;
      if (place.kind === "team") teams.push({ team: place.name, ...moved });
      else owners.push({ org: place.name, ...moved });
    }
    return { directory: directory.config.name, ...users, teams, owners, refused };
  }

  /** The teams and organizations of one user, when that user signs in. Answers what was changed. */
  async joinTeams(directory: Directory, { userId, name }: UserOfEntry, entry: DirectoryEntry): Promise<SyncDiff> {
    const meant = await rulesFor(directory, entry);
    const teams: TeamDiff[] = [];
    const owners: OwnersDiff[] = [];
    for (const place of placesOf(directory.config, this.#store)) {
      const belongs = place.rules.some((rule) => meant.has(rule));
      const before = await place.list();
      const isIn = before?.all.includes(userId);
      if (before === undefined || (belongs ? isIn : !before.synced.includes(userId))) continue;
      await place.change(belongs ? { add: [userId], remove: [] } : { add: [], remove: [userId] });
      // The last owner stays one.
      if ((await place.list())?.all.includes(userId) === isIn) continue;
      const moved = belongs ? { add: [name], remove: [] } : { add: [], remove: [name] };
      if (place.kind === "team") teams.push({ team: place.name, ...moved });
      else owners.push({ org: place.name, ...moved });
    }
    return { directory: directory.config.name, create: [], suspend: [], restore: [], teams, owners, refused: [] };
  }

  async #look(directory: Directory): Promise<Picture> {
    const { name } = directory.config;
    const entries = await directory.listUsers();
    if (entries.length === 0)
      throw new DirectoryAwayError(`directory ${name} lists nobody: check users.base and users.filter`);
    const members = await membersByRule(directory);
    const known = await this.#store.list(name);
    return {
      entries: new Map(entries.map((entry) => [normalDn(entry.dn), entry])),
      known: new Map(known.map((user) => [user.externalId, user])),
      members,
    };
  }

  async #settleUsers(directory: Directory, picture: Picture, refused: string[], dryRun: boolean) {
    const there = new Set([...picture.entries.values()].map(({ externalId }) => externalId));
    const known = [...picture.known.values()];
    const gone = known.filter(({ externalId, isSuspended }) => !isSuspended && !there.has(externalId));
    const back = known.filter(({ externalId, isGone }) => isGone && there.has(externalId));
    const create: string[] = [];
    for (const entry of this.#newMembers(picture)) {
      const name = await this.#create(directory, entry, dryRun);
      if (name === undefined) refused.push(`${entry.dn}: its name cannot be, or is, somebody else's here`);
      else create.push(name);
    }
    if (!dryRun) {
      await this.#store.markGone(idsOf(gone), this.#now());
      await this.#store.markBack(idsOf(back));
    }
    return { create: create.sort(), suspend: namesOf(gone), restore: namesOf(back) };
  }

  /** Whom rules mean who never signed in. */
  #newMembers({ entries, known, members }: Picture): DirectoryEntry[] {
    const dns = new Set([...members.values()].flatMap((of) => [...of]));
    const found = [...dns].map((dn) => entries.get(dn)).filter((entry) => entry !== undefined);
    return found.filter(({ externalId }) => !known.has(externalId));
  }

  async #create(directory: Directory, entry: DirectoryEntry, dryRun: boolean): Promise<string | undefined> {
    const name = foldName(entry.name);
    if (name === undefined) return undefined;
    if (dryRun) return (await this.#store.isTaken(name)) ? undefined : name;
    try {
      return (await this.#store.ensure(directory.config.name, name, entry, nobodysHash)).name;
    } catch (error) {
      if (error instanceof NameCollisionError) return undefined;
      throw error;
    }
  }

  async #syncPlace(
    directory: Directory,
    place: Place,
    { entries, members }: Picture,
    { refused, dryRun }: { readonly refused: string[]; readonly dryRun: boolean },
  ): Promise<Moved | undefined> {
    const before = await place.list();
    if (before === undefined) {
      refused.push(place.kind === "team" ? `there is no team ${place.name}` : `there is no organization ${place.name}`);
      return undefined;
    }
    const dns = place.rules.flatMap((rule) => [...(members.get(rule) ?? [])]);
    const wanted = new Set(dns.map((dn) => entries.get(dn)?.externalId).filter((id) => id !== undefined));
    const known = await this.#store.list(directory.config.name);
    const add = known.filter(({ userId, externalId }) => wanted.has(externalId) && !before.all.includes(userId));
    const leaving = known.filter(({ userId, externalId }) => before.synced.includes(userId) && !wanted.has(externalId));
    // Of a dry run: those who would have been made just now.
    const unmade = [...wanted].filter((id) => !known.some(({ externalId }) => externalId === id));
    const newNames = dryRun ? await this.#namesOfUnmade(entries, unmade) : [];
    const there = new Set([...entries.values()].map(({ externalId }) => externalId));
    const isOwned = place.kind === "team" || newNames.length > 0;
    const stay = isOwned ? [] : findLastOwners({ before, add: idsOf(add), leaving, known, there });
    refused.push(...namesOf(stay).map((owner) => `no other owner would be left to ${place.name}: ${owner} stays one`));
    const remove = leaving.filter((user) => !stay.includes(user));
    if (add.length + remove.length + newNames.length === 0) return undefined;
    if (!dryRun) await place.change({ add: idsOf(add), remove: idsOf(remove) });
    return { add: [...namesOf(add), ...newNames].sort(), remove: namesOf(remove) };
  }

  async #namesOfUnmade(entries: Picture["entries"], ids: readonly string[]): Promise<string[]> {
    const unmade = [...entries.values()].filter(({ externalId }) => ids.includes(externalId));
    const names: string[] = [];
    for (const { name } of unmade) {
      const folded = foldName(name);
      if (folded !== undefined && !(await this.#store.isTaken(folded))) names.push(folded);
    }
    return names;
  }
}

function idsOf(users: readonly DirectoryUser[]): number[] {
  return users.map(({ userId }) => userId);
}

function namesOf(users: readonly DirectoryUser[]): string[] {
  return users.map(({ name }) => name).sort();
}
