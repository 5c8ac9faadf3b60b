import { type Database, isViolation, type Sql } from "../../storage/database.ts";
import { noFailpoint } from "../../storage/failpoint.ts";
import { inOrg } from "../org-rows.ts";
import { addSyncedMembers, addSyncedOwners, removeSyncedMembers, removeSyncedOwners } from "../orgs-store.ts";
import { holdRights, orgLock } from "../rights-locks.ts";
import { addTeamMembers, getTeamId, removeTeamMembers } from "../teams-store.ts";
import { insertUser, isNameTaken, resumeUsers, suspendUsers } from "../users-store.ts";
import type { DirectoryEntry } from "./directory.ts";

/** A user of ours whose password a directory decides. */
export interface DirectoryUser {
  readonly userId: number;
  readonly name: string;
  readonly directory: string;
  readonly externalId: string;
  readonly dn: string;
  readonly graceHash: string | undefined;
  readonly verifiedAt: Date | undefined;
  readonly isSuspended: boolean;
  /** Suspended by a sync, not by an administrator. */
  readonly isGone: boolean;
}

export interface EndedSync {
  readonly startedAt: Date;
  readonly endedAt: Date;
  /** `done`, or why not. */
  readonly outcome: string;
}

/** Ended, or under way. */
export type LastSync = EndedSync | { readonly startedAt: Date; readonly endedAt: null; readonly outcome: null };

/** Whose name folds to one that another one holds. */
export class NameCollisionError extends Error {}

export interface UserOfEntry {
  readonly userId: number;
  /** As it was when the entry was first seen; a new name in the directory changes nothing here. */
  readonly name: string;
}

/** Who is in a team, or owns an organization; `synced`: by this directory's word. */
export interface Listed {
  readonly synced: readonly number[];
  readonly all: readonly number[];
  /** Of the owners of an organization: those who may not sign in. */
  readonly suspended?: readonly number[];
}

/** By user id. */
export interface Moves {
  readonly add: readonly number[];
  readonly remove: readonly number[];
}

const COLUMNS = `d.user_id as "userId", u.name, d.directory, d.external_id as "externalId", d.dn,
  d.grace_hash as "graceHash", d.verified_at as "verifiedAt", u.suspended as "isSuspended",
  d.gone_at is not null as "isGone"`;

/** Rows of `directory_users`, `directory_team_members` and `directory_syncs`. */
export class DirectoryStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(name: string): Promise<DirectoryUser | undefined> {
    const [row] = await this.#database.query(
      "directory-user",
      `select ${COLUMNS} from directory_users d join users u on u.id = d.user_id where u.name = $1`,
      [name],
    );
    return row === undefined ? undefined : toUser(row);
  }

  async list(directory: string): Promise<DirectoryUser[]> {
    const text = `select ${COLUMNS} from directory_users d join users u on u.id = d.user_id where d.directory = $1`;
    return (await this.#database.query("directory-users", text, [directory])).map(toUser);
  }

  /**
   * The user of ours that this entry is; made when it is seen for the first time.
   * @throws NameCollisionError when the name is another one's
   */
  async ensure(directory: string, name: string, entry: DirectoryEntry, nobodysHash: string): Promise<UserOfEntry> {
    try {
      return await this.#database.transaction(async (sql) => {
        const known = await findByEntry(sql, directory, entry);
        if (known !== undefined) return known;
        const userId = await insertUser(sql, { name, passwordHash: nobodysHash });
        await sql.query(
          "directory-user-link",
          "insert into directory_users (user_id, directory, external_id, dn) values ($1, $2, $3, $4)",
          [userId, directory, entry.externalId, entry.dn],
        );
        return { userId, name };
      });
    } catch (cause) {
      const known = await findByEntry(this.#database, directory, entry);
      if (known !== undefined) return known;
      if (!isViolation(cause, "namespaces_pkey")) throw cause;
      throw new NameCollisionError(`${entry.dn} would be ${name}, which is somebody else's name`, { cause });
    }
  }

  isTaken(name: string): Promise<boolean> {
    return isNameTaken(this.#database, name);
  }

  /** The directory took this password now. */
  async markVerified(userId: number, dn: string, graceHash: string | undefined, at: Date): Promise<void> {
    await this.#database.query(
      "directory-verified",
      "update directory_users set dn = $2, grace_hash = $3, verified_at = $4 where user_id = $1",
      [userId, dn, graceHash ?? null, at],
    );
  }

  /** The directory refused the password that is remembered, or the entry is gone: nothing is taken on its word now. */
  async forget(userId: number): Promise<void> {
    await this.#database.query(
      "directory-forget",
      "update directory_users set grace_hash = null, verified_at = null where user_id = $1",
      [userId],
    );
  }

  /** Suspends, and ends every token. */
  async markGone(userIds: readonly number[], at: Date): Promise<void> {
    await this.#database.transaction(async (sql) => {
      const gone = await suspendUsers(sql, userIds);
      await sql.query(
        "directory-gone",
        "update directory_users set gone_at = $2, grace_hash = null where user_id = any($1::bigint[])",
        [gone, at],
      );
    });
  }

  /** Only what a sync suspended comes back; what an administrator suspended stays. Answers how many did. */
  async markBack(userIds: readonly number[]): Promise<number> {
    return this.#database.transaction(async (sql) => {
      const back = await sql.query<{ user_id: string }>(
        "directory-back",
        `update directory_users set gone_at = null where user_id = any($1::bigint[]) and gone_at is not null
         returning user_id`,
        [userIds],
      );
      await resumeUsers(
        sql,
        back.map(({ user_id }) => Number(user_id)),
      );
      return back.length;
    });
  }

  /** Members that the directory put into a team. Undefined when there is no such team. */
  async listTeam(directory: string, team: string): Promise<Listed | undefined> {
    const [org = "", name = ""] = team.split("/");
    const [row] = await this.#database.query<{ id: string }>(
      "directory-team",
      "select id from teams where org = $1 and name = $2",
      [org, name],
    );
    if (row === undefined) return undefined;
    const rows = await this.#database.query<{ user_id: string; synced: boolean }>(
      "directory-team-members",
      `select m.user_id, d.user_id is not null as synced from team_members m
       left join directory_team_members d
         on d.team_id = m.team_id and d.user_id = m.user_id and d.directory = $2
       where m.team_id = $1`,
      [row.id, directory],
    );
    const ids = (some: typeof rows) => some.map(({ user_id }) => Number(user_id));
    return { synced: ids(rows.filter(({ synced }) => synced)), all: ids(rows) };
  }

  /**
   * Puts users into a team, and takes out of it those of `remove` whom this directory had put there; out of the
   * organization too, when this directory had made them members and no team is left to them.
   */
  async changeTeam(directory: string, team: string, { add, remove }: Moves): Promise<void> {
    const [org = "", name = ""] = team.split("/");
    const hold = (sql: Sql) => holdRights(sql, { alone: [orgLock(org)] });
    await inOrg({ database: this.#database, failpoint: noFailpoint }, { org, confirm: hold }, async (sql) => {
      const teamId = await getTeamId(sql, { org, name });
      await addSyncedMembers(sql, org, directory, add);
      // Whom an owner had put there already stays the owner's: only a row that is made here can be unmade.
      const made = await addTeamMembers(sql, org, teamId, add);
      await sql.query(
        "directory-team-add",
        `insert into directory_team_members (team_id, user_id, directory) select $1, unnest($2::bigint[]), $3`,
        [teamId, made, directory],
      );
      const ours = await sql.query<{ user_id: string }>(
        "directory-team-ours",
        `select user_id from directory_team_members
         where team_id = $1 and user_id = any($2::bigint[]) and directory = $3`,
        [teamId, remove, directory],
      );
      const leaving = ours.map(({ user_id }) => Number(user_id));
      await removeTeamMembers(sql, teamId, leaving);
      await removeSyncedMembers(sql, org, directory, leaving);
    });
  }

  /** Owners of an organization. Undefined when there is no such organization. */
  async listOwners(directory: string, org: string): Promise<Listed | undefined> {
    const rows = await this.#database.query<{ user_id: string | null; synced: boolean; suspended: boolean }>(
      "directory-owners",
      `select m.user_id, m.owner_directory is not distinct from $2 as synced, u.suspended
       from namespaces n left join org_members m on m.org = n.name and m.role = 'owner'
       left join users u on u.id = m.user_id
       where n.name = $1 and n.kind = 'org'`,
      [org, directory],
    );
    if (rows.length === 0) return undefined;
    const owners = rows.filter(({ user_id }) => user_id !== null);
    const ids = (some: typeof rows) => some.map(({ user_id }) => Number(user_id));
    return {
      synced: ids(owners.filter(({ synced }) => synced)),
      suspended: ids(owners.filter(({ suspended }) => suspended)),
      all: ids(owners),
    };
  }

  /** As {@link changeTeam}: only whom this directory made an owner ceases to be one, and never the last who can sign in. */
  async changeOwners(directory: string, org: string, { add, remove }: Moves): Promise<void> {
    const hold = (sql: Sql) => holdRights(sql, { alone: [orgLock(org)] });
    await inOrg({ database: this.#database, failpoint: noFailpoint }, { org, confirm: hold }, async (sql) => {
      await addSyncedOwners(sql, org, directory, add);
      await removeSyncedOwners(sql, org, directory, remove);
    });
  }

  /** True for the one process that may sync now: nobody began within `everyMinutes`. */
  async claimSync(directory: string, now: Date, everyMinutes: number): Promise<boolean> {
    const rows = await this.#database.query(
      "directory-claim",
      `insert into directory_syncs as s (directory, started_at) values ($1, $2)
       on conflict (directory) do update set started_at = $2, ended_at = null, outcome = null
         where s.started_at <= $2::timestamptz - make_interval(mins => $3)
       returning 1`,
      [directory, now, everyMinutes],
    );
    return rows.length > 0;
  }

  async endSync(directory: string, { startedAt, endedAt, outcome }: EndedSync): Promise<void> {
    await this.#database.query(
      "directory-sync-end",
      `insert into directory_syncs (directory, started_at, ended_at, outcome) values ($1, $2, $3, $4)
       on conflict (directory) do update set started_at = $2, ended_at = $3, outcome = $4`,
      [directory, startedAt, endedAt, outcome],
    );
  }

  /** The last sync of each directory that had one. */
  async listSyncs(): Promise<Map<string, LastSync>> {
    const rows = await this.#database.query<{ directory: string } & LastSync>(
      "directory-syncs",
      'select directory, started_at as "startedAt", ended_at as "endedAt", outcome from directory_syncs',
    );
    return new Map(rows.map(({ directory, ...last }) => [directory, last]));
  }
}

async function findByEntry(
  sql: Sql,
  directory: string,
  { externalId }: DirectoryEntry,
): Promise<UserOfEntry | undefined> {
  const [row] = await sql.query<{ id: string; name: string }>(
    "directory-entry",
    `select u.id, u.name from directory_users d join users u on u.id = d.user_id
     where d.directory = $1 and d.external_id = $2`,
    [directory, externalId],
  );
  return row === undefined ? undefined : { userId: Number(row.id), name: row.name };
}

function toUser(row: Record<string, unknown>): DirectoryUser {
  const { userId, graceHash, verifiedAt, ...rest } = row;
  return {
    ...(rest as Pick<DirectoryUser, "name" | "directory" | "externalId" | "dn" | "isSuspended" | "isGone">),
    userId: Number(userId),
    graceHash: typeof graceHash === "string" ? graceHash : undefined,
    verifiedAt: verifiedAt instanceof Date ? verifiedAt : undefined,
  };
}
