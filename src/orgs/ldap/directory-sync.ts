import { nobodysHash } from "../passwords.ts";
import { type Directory, DirectoryAwayError, type DirectoryEntry } from "./directory.ts";
import { foldName, normalDn } from "./directory-names.ts";
import { type DirectoryStore, type DirectoryUser, NameCollisionError } from "./directory-store.ts";

/** What a sync would change, or changed. All names are ours, sorted. */
export interface SyncDiff {
  readonly directory: string;
  /** Users who are made because a group of theirs gives them a team. */
  readonly create: readonly string[];
  /** Users whom the directory no longer has. */
  readonly suspend: readonly string[];
  /** Users whom a sync had suspended and the directory has again. */
  readonly restore: readonly string[];
  readonly teams: readonly TeamDiff[];
  /** What cannot be done, and why. */
  readonly refused: readonly string[];
}

export interface TeamDiff {
  readonly team: string;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** The directory as it is, beside what we know of it. */
interface Picture {
  readonly entries: ReadonlyMap<string, DirectoryEntry>;
  readonly known: ReadonlyMap<string, DirectoryUser>;
  readonly members: ReadonlyMap<string, ReadonlySet<string>>;
}

export function isEmpty({ create, suspend, restore, teams }: SyncDiff): boolean {
  return create.length + suspend.length + restore.length + teams.length === 0;
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
    for (const team of new Set(directory.config.sync.map((rule) => rule.team))) {
      const diff = await this.#syncTeam(directory, team, picture, { refused, dryRun });
      if (diff !== undefined) teams.push(diff);
    }
    return { directory: directory.config.name, ...users, teams, refused };
  }

  /** The teams of one user, when that user signs in. */
  async joinTeams(directory: Directory, userId: number, dn: string): Promise<void> {
    const { sync, name } = directory.config;
    const groups = new Set(await directory.groupsOf(dn, [...new Set(sync.map(({ group }) => group))]));
    for (const team of new Set(sync.map((rule) => rule.team))) {
      const belongs = sync.some((rule) => rule.team === team && groups.has(rule.group));
      const before = await this.#store.listTeam(name, team);
      if (before === undefined) continue;
      if (belongs && !before.all.includes(userId))
        await this.#store.changeTeam(name, team, { add: [userId], remove: [] });
      if (!belongs && before.synced.includes(userId))
        await this.#store.changeTeam(name, team, { add: [], remove: [userId] });
    }
  }

  async #look(directory: Directory): Promise<Picture> {
    const { sync, name } = directory.config;
    const entries = await directory.listUsers();
    if (entries.length === 0)
      throw new DirectoryAwayError(`directory ${name} lists nobody: check users.base and users.filter`);
    const members = await directory.listMembers([...new Set(sync.map(({ group }) => group))]);
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

  /** Members of synced groups who never signed in. */
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

  async #syncTeam(
    directory: Directory,
    team: string,
    { entries, members }: Picture,
    { refused, dryRun }: { readonly refused: string[]; readonly dryRun: boolean },
  ): Promise<TeamDiff | undefined> {
    const { name, sync } = directory.config;
    const before = await this.#store.listTeam(name, team);
    if (before === undefined) {
      refused.push(`there is no team ${team}`);
      return undefined;
    }
    const dns = sync.filter((rule) => rule.team === team).flatMap(({ group }) => [...(members.get(group) ?? [])]);
    const wanted = new Set(dns.map((dn) => entries.get(dn)?.externalId).filter((id) => id !== undefined));
    const known = await this.#store.list(name);
    const belongs = known.filter(({ externalId }) => wanted.has(externalId));
    const add = belongs.filter(({ userId }) => !before.all.includes(userId));
    const remove = known.filter(({ userId, externalId }) => before.synced.includes(userId) && !wanted.has(externalId));
    // Of a dry run: those who would have been made just now.
    const unmade = [...wanted].filter((id) => !known.some(({ externalId }) => externalId === id));
    const newNames = dryRun ? await this.#namesOfUnmade(entries, unmade) : [];
    if (add.length + remove.length + newNames.length === 0) return undefined;
    if (!dryRun) await this.#store.changeTeam(name, team, { add: idsOf(add), remove: idsOf(remove) });
    return { team, add: [...namesOf(add), ...newNames].sort(), remove: namesOf(remove) };
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
