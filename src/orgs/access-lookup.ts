import { BatchedLookup } from "../storage/batched-lookup.ts";
import type { Database } from "../storage/database.ts";
import { toUser, type User, userColumns } from "./users-store.ts";

export interface AccessKey {
  /** A user's name; empty for anonymous. */
  readonly user: string;
  /** A repository's name; empty where none is concerned. */
  readonly repository: string;
}

/** Everything that a permission depends on, as the database has it now. */
export interface AccessFacts {
  readonly user: User | undefined;
  /** Undefined when there is no such repository. */
  readonly visibility: "public" | "private" | undefined;
}

export type FindAccess = (key: AccessKey) => Promise<AccessFacts>;

/**
 * Reads user and repository together; look-ups waiting at the same moment share one query. (owner of the rows:
 * users-store.ts and storage/repository-store.ts; this only reads.)
 */
export function openAccessLookup(database: Database): FindAccess {
  const lookup = new BatchedLookup<AccessKey, AccessFacts>(async (keys) => {
    const rows = await database.query(
      "access",
      `select ${userColumns}, r.visibility
       from unnest($1::text[], $2::text[]) with ordinality as k (user_name, repository, position)
       left join users u on u.name = k.user_name
       left join repositories r on r.name = k.repository
       order by k.position`,
      [keys.map(({ user }) => user), keys.map(({ repository }) => repository)],
    );
    return rows.map((row) => ({
      user: row.id === null ? undefined : toUser(row),
      visibility: row.visibility ?? undefined,
    }));
  });
  return async (key) => (await lookup.find(key)) ?? { user: undefined, visibility: undefined };
}
