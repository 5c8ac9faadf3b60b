import type { Page } from "../http/rest-page.ts";
import { type Change, type Database, isViolation, type Sql } from "../storage/database.ts";
import { type Failpoint, noFailpoint } from "../storage/failpoint.ts";
import type { Visibility } from "../storage/repository-store.ts";
import { changeRights, type RightsRows } from "./change-rights.ts";
import { notFound, OrgsError } from "./errors.ts";
import { getUserId, type InOrg, inOrg } from "./org-rows.ts";

export interface Org {
  readonly name: string;
  /** Of a repository that a first push makes. */
  readonly defaultVisibility: Visibility;
  readonly createdAt: Date;
  readonly version: string;
}

export type OrgMemberRole = "owner" | "member";

export interface OrgMember {
  readonly user: string;
  readonly role: OrgMemberRole;
  readonly version: string;
}

export interface OrgsQuery extends Page {
  /** Only those that this user is a member of. */
  readonly memberId?: number;
}

// xmin names the transaction that wrote the row as it is: a version that no statement can forget to raise.
const orgColumns =
  'n.name, n.default_visibility as "defaultVisibility", n.created_at as "createdAt", n.xmin::text as version';
const memberColumns = 'u.name as "user", m.role, m.xmin::text as version';

/** Organizations (rows of `namespaces`), and rows of `org_members`. */
export class OrgsStore {
  readonly #database: Database;
  readonly #rows: RightsRows;

  constructor(database: Database, failpoint: Failpoint = noFailpoint) {
    this.#database = database;
    this.#rows = { database, failpoint };
  }

  list({ memberId, after, limit }: OrgsQuery): Promise<Org[]> {
    return this.#database.query<Org>(
      "orgs-list",
      `select ${orgColumns} from namespaces n
       where n.kind = 'org' and n.name > $1
         and ($2::bigint is null or exists (select 1 from org_members m where m.org = n.name and m.user_id = $2))
       order by n.name limit $3`,
      [after, memberId ?? null, limit],
    );
  }

  find(name: string): Promise<Org | undefined> {
    return findOrg(this.#database, name);
  }

  /** True when it was made. @throws OrgsError name-taken by a user, or just now */
  put(
    name: string,
    { defaultVisibility }: Pick<Org, "defaultVisibility">,
    { check, confirm }: Change,
  ): Promise<boolean> {
    return changeRights(this.#rows, async (sql) => {
      await confirm(sql);
      const [row] = await sql.query<{ kind: string; version: string }>(
        "namespace-lock",
        "select kind, xmin::text as version from namespaces where name = $1 for no key update",
        [name],
      );
      if (row?.kind === "user") throw nameTaken(name);
      check(row?.version);
      const write = row === undefined ? insertOrg : updateOrg;
      if (!(await write(sql, name, defaultVisibility))) throw nameTaken(name);
      return row === undefined;
    });
  }

  /** With its teams and robots. @throws OrgsError not-found, not-empty while it has repositories */
  async delete(name: string, { check, confirm }: Change): Promise<void> {
    await inOrg(this.#rows, { org: name, confirm }, async (sql) => {
      check((await findOrg(sql, name))?.version);
      await sql.query("org-delete", "delete from namespaces where name = $1", [name]);
    }).catch((cause: unknown) => {
      if (!isViolation(cause, "repositories_namespace_fkey")) throw cause;
      throw new OrgsError("not-empty", `${name} has repositories; delete or move them first`, { cause });
    });
  }

  listMembers(org: string, { after, limit }: Page): Promise<OrgMember[]> {
    return this.#database.query<OrgMember>(
      "org-members",
      `select ${memberColumns} from org_members m join users u on u.id = m.user_id
       where m.org = $1 and u.name > $2 order by u.name limit $3`,
      [org, after, limit],
    );
  }

  findMember(where: InOrg): Promise<OrgMember | undefined> {
    return findMember(this.#database, where);
  }

  /** True when the user was none before. @throws OrgsError not-found, last-owner */
  async putMember(where: InOrg, role: OrgMemberRole, { check, confirm }: Change): Promise<boolean> {
    return inOrg(this.#rows, { org: where.org, confirm }, async (sql) => {
      const before = await findMember(sql, where);
      check(before?.version);
      if (before?.role === "owner" && role !== "owner") await mustHaveAnotherOwner(sql, where);
      await sql.query(
        "org-member-put",
        `insert into org_members (org, user_id, role) values ($1, $2, $3)
         on conflict (org, user_id) do update set role = excluded.role, directory = null, owner_directory = null`,
        [where.org, await getUserId(sql, where.name), role],
      );
      return before === undefined;
    });
  }

  /** From the organization's teams too. @throws OrgsError not-found, last-owner */
  async deleteMember(where: InOrg, { check, confirm }: Change): Promise<void> {
    await inOrg(this.#rows, { org: where.org, confirm }, async (sql) => {
      const before = await findMember(sql, where);
      check(before?.version);
      if (before === undefined) throw notFound();
      if (before.role === "owner") await mustHaveAnotherOwner(sql, where);
      await sql.query("org-member-delete", "delete from org_members where org = $1 and user_id = $2", [
        where.org,
        await getUserId(sql, where.name),
      ]);
    });
  }
}

/** Members by a directory's word; those who are members already stay what they are. */
export async function addSyncedMembers(sql: Sql, org: string, directory: string, userIds: readonly number[]) {
  await sql.query(
    "org-members-add",
    `insert into org_members (org, user_id, role, directory) select $1, unnest($2::bigint[]), 'member', $3
     on conflict do nothing`,
    [org, userIds, directory],
  );
}

/** Owners by a directory's word; those whom a person made owners stay that person's. */
export async function addSyncedOwners(sql: Sql, org: string, directory: string, userIds: readonly number[]) {
  await sql.query(
    "org-owners-add",
    `insert into org_members as m (org, user_id, role, directory, owner_directory)
     select $1, unnest($2::bigint[]), 'owner', $3, $3
     on conflict (org, user_id) do update set role = 'owner', owner_directory = $3 where m.role <> 'owner'`,
    [org, userIds, directory],
  );
}

/**
 * Ends what {@link addSyncedOwners} began, the membership too where a directory began that and no team is left. Nothing
 * where no other owner who can sign in would be left.
 */
export async function removeSyncedOwners(sql: Sql, org: string, directory: string, userIds: readonly number[]) {
  const rows = await sql.query<{ user_id: string }>(
    "org-owners-remove",
    `update org_members m set role = 'member', owner_directory = null
     where m.org = $1 and m.user_id = any($2::bigint[]) and m.role = 'owner' and m.owner_directory = $3
       and exists (select 1 from org_members o join users u on u.id = o.user_id
                   where o.org = $1 and o.role = 'owner' and not u.suspended and o.user_id <> all($2::bigint[]))
     returning m.user_id`,
    [org, userIds, directory],
  );
  const were = rows.map(({ user_id }) => Number(user_id));
  await removeSyncedMembers(sql, org, directory, were);
}

/** Ends what {@link addSyncedMembers} began, of those who are in no team of the organization any more. */
export async function removeSyncedMembers(sql: Sql, org: string, directory: string, userIds: readonly number[]) {
  await sql.query(
    "org-members-remove",
    `delete from org_members m where m.org = $1 and m.user_id = any($2::bigint[]) and m.directory = $3
     and m.role = 'member'
     and not exists (select 1 from team_members t where t.org = m.org and t.user_id = m.user_id)`,
    [org, userIds, directory],
  );
}

async function findOrg(sql: Sql, name: string): Promise<Org | undefined> {
  const text = `select ${orgColumns} from namespaces n where n.kind = 'org' and n.name = $1`;
  const [row] = await sql.query<Org>("org-find", text, [name]);
  return row;
}

async function findMember(sql: Sql, { org, name }: InOrg): Promise<OrgMember | undefined> {
  const [row] = await sql.query<OrgMember>(
    "org-member",
    `select ${memberColumns} from org_members m join users u on u.id = m.user_id where m.org = $1 and u.name = $2`,
    [org, name],
  );
  return row;
}

/** An organization that nobody owns, or nobody who can sign in, could be mended by system administrators only. */
async function mustHaveAnotherOwner(sql: Sql, { org, name }: InOrg): Promise<void> {
  const [other] = await sql.query(
    "org-other-owner",
    `select 1 from org_members m join users u on u.id = m.user_id
     where m.org = $1 and m.role = 'owner' and u.name <> $2 and not u.suspended limit 1`,
    [org, name],
  );
  if (other === undefined)
    throw new OrgsError("last-owner", `${name} is the last owner of ${org}; make somebody else an owner first`);
}

async function insertOrg(sql: Sql, name: string, visibility: Visibility): Promise<boolean> {
  const rows = await sql.query(
    "org-insert",
    `insert into namespaces (name, kind, default_visibility) values ($1, 'org', $2)
     on conflict do nothing returning 1`,
    [name, visibility],
  );
  return rows.length > 0;
}

async function updateOrg(sql: Sql, name: string, visibility: Visibility): Promise<boolean> {
  await sql.query("org-update", "update namespaces set default_visibility = $2 where name = $1", [name, visibility]);
  return true;
}

function nameTaken(name: string): OrgsError {
  return new OrgsError("name-taken", `the name ${name} is taken`);
}
