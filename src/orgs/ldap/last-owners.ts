import type { DirectoryUser, Listed } from "./directory-store.ts";

interface Leaving {
  readonly before: Listed;
  /** Who become owners. */
  readonly add: readonly number[];
  /** Who would cease to be owners. */
  readonly leaving: readonly DirectoryUser[];
  /** All of this directory, the leaving too. */
  readonly known: readonly DirectoryUser[];
  /** Ids of all whom the directory has. */
  readonly there: ReadonlySet<string>;
}

/**
 * Who of those leaving must stay, for no other owner would be left who can sign in: the first by name of those who can, so
 * that a dry run and the sync after it name the same; all where none of them can.
 */
export function findLastOwners({ before, add, leaving, known, there }: Leaving): readonly DirectoryUser[] {
  const idle = known.filter((user) => !canSignIn(user, there));
  const others = (before.suspended ?? []).filter((id) => !known.some(({ userId }) => userId === id));
  const gone = new Set([...idle, ...leaving].map(({ userId }) => userId).concat(others));
  if ([...before.all, ...add].some((id) => !gone.has(id))) return [];
  const byName = leaving.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const last = byName.find((user) => canSignIn(user, there));
  return last === undefined ? leaving : [last];
}

/** Once the users are settled, which a dry run leaves to the sync. */
function canSignIn({ externalId, isSuspended, isGone }: DirectoryUser, there: ReadonlySet<string>): boolean {
  return there.has(externalId) && (!isSuspended || isGone);
}
