import type { Page } from "../http/rest-page.ts";
import { type Change, type Database, isViolation, type Row, type Sql } from "../storage/database.ts";
import { type Failpoint, noFailpoint } from "../storage/failpoint.ts";
import { changeRights, type RightsRows } from "./change-rights.ts";
import { invalidRequest, notFound, OrgsError } from "./errors.ts";
import { dropPersonalTokensOf } from "./personal-tokens-store.ts";
import { holdRights, userLock } from "./rights-locks.ts";

export interface User {
  readonly id: number;
  readonly name: string;
  readonly passwordHash: string;
  readonly systemAdmin: boolean;
  /** Sees lists and metadata of everything, content of nothing. */
  readonly auditor: boolean;
  readonly suspended: boolean;
  /** Tokens carry it; those of an earlier epoch are dead. */
  readonly tokenEpoch: number;
  readonly createdAt: Date;
  readonly version: string;
}

export interface NewUser {
  readonly name: string;
  readonly passwordHash: string;
  readonly systemAdmin?: boolean;
}

/** What is undefined stays as it is. */
export interface UserChange {
  readonly passwordHash: string | undefined;
  readonly systemAdmin: boolean | undefined;
  readonly auditor: boolean | undefined;
  readonly suspended: boolean | undefined;
}

/** Columns of `users` as {@link toUser} reads them. */
export const userColumns =
  "u.id, u.name, u.password_hash, u.system_admin, u.auditor, u.suspended, u.token_epoch, u.created_at as user_created_at, u.xmin::text as user_version";

/** Rows of `users`, and the name each of them holds in `namespaces`. */
export class UsersStore {
  readonly #database: Database;
  readonly #rows: RightsRows;

  constructor(database: Database, failpoint: Failpoint = noFailpoint) {
    this.#database = database;
    this.#rows = { database, failpoint };
  }

  find(name: string): Promise<User | undefined> {
    return findUser(this.#database, name);
  }

  async findById(id: number): Promise<User | undefined> {
    const [row] = await this.#database.query("user-find-id", `select ${userColumns} from users u where id = $1`, [id]);
    return row === undefined ? undefined : toUser(row);
  }

  async list({ after, limit }: Page): Promise<User[]> {
    const text = `select ${userColumns} from users u where name > $1 order by name limit $2`;
    return (await this.#database.query("user-list", text, [after, limit])).map(toUser);
  }

  async countSystemAdmins(): Promise<number> {
    const [row] = await this.#database.query<{ n: string }>(
      "user-admins",
      "select count(*) as n from users where system_admin",
    );
    return Number(row?.n ?? 0);
  }

  /** @throws OrgsError name-taken by a user or an organization */
  async create(user: NewUser): Promise<void> {
    await this.#database
      .transaction(async (sql) => void (await insertUser(sql, user)))
      .catch((cause: unknown) => translate(user.name, cause));
  }

  /**
   * Make or change a user; a new password ends every token of the user. True when the user was made.
   * @throws OrgsError invalid-request without a password for a new user, name-taken, last-admin
   */
  async put(name: string, change: UserChange, { check, confirm }: Change): Promise<boolean> {
    return changeRights(this.#rows, async (sql) => {
      await confirm(sql);
      await lockAdmins(sql);
      const before = await findUser(sql, name);
      check(before?.version);
      if (before === undefined) await insertUser(sql, newUser(name, change));
      const losesAdmin = change.systemAdmin === false || change.suspended === true;
      if (before?.systemAdmin === true && losesAdmin) await mustHaveAnotherAdmin(sql, name);
      await changeUser(sql, name, before === undefined ? { ...change, passwordHash: undefined } : change);
      if (before !== undefined && change.passwordHash !== undefined) await dropPersonalTokensOf(sql, before.id);
      return before === undefined;
    }).catch((cause: unknown) => translate(name, cause));
  }

  /** @throws OrgsError not-found, not-empty while the user has repositories, last-admin, last-owner of an organization */
  async delete(name: string, { check, confirm }: Change): Promise<void> {
    await changeRights(this.#rows, async (sql) => {
      await confirm(sql);
      await lockAdmins(sql);
      const user = await findUser(sql, name);
      check(user?.version);
      if (user === undefined) throw notFound();
      if (user.systemAdmin) await mustHaveAnotherAdmin(sql, name);
      await mustOwnNoOrgAlone(sql, user);
      await sql.query("user-delete", "delete from users where id = $1", [user.id]);
      await sql.query("user-name-delete", "delete from namespaces where name = $1", [name]);
    }).catch((cause: unknown) => {
      if (!isViolation(cause, "repositories_namespace_fkey")) throw cause;
      throw new OrgsError("not-empty", `${name} has repositories; delete or move them first`, { cause });
    });
  }
}

export function toUser(row: Row): User {
  return {
    id: Number(row.id),
    name: row.name,
    passwordHash: row.password_hash,
    systemAdmin: row.system_admin,
    auditor: row.auditor,
    suspended: row.suspended,
    tokenEpoch: row.token_epoch,
    createdAt: row.user_created_at,
    version: row.user_version,
  };
}

async function findUser(sql: Sql, name: string): Promise<User | undefined> {
  const [row] = await sql.query("user-find", `select ${userColumns} from users u where name = $1`, [name]);
  return row === undefined ? undefined : toUser(row);
}

/** Of two changes that would each leave the other's administrator as the last, one waits and then sees. */
async function lockAdmins(sql: Sql): Promise<void> {
  await sql.query("users-lock", "lock table users in share row exclusive mode");
}

/** Returns the row id. Violates `namespaces_pkey` where the name is taken. */
export async function insertUser(sql: Sql, { name, passwordHash, systemAdmin = false }: NewUser): Promise<number> {
  await sql.query("user-name", "insert into namespaces (name, kind) values ($1, 'user')", [name]);
  const [user] = await sql.query<{ id: string }>(
    "user-create",
    "insert into users (name, password_hash, system_admin) values ($1, $2, $3) returning id",
    [name, passwordHash, systemAdmin],
  );
  return Number(user?.id);
}

/** Whether a user or an organization has the name. */
export async function isNameTaken(sql: Sql, name: string): Promise<boolean> {
  return (await sql.query("name-taken", "select 1 from namespaces where name = $1", [name])).length > 0;
}

/** Ends every token of theirs too. Answers who was not suspended before. */
export async function suspendUsers(sql: Sql, ids: readonly number[]): Promise<number[]> {
  const names = await sql.query<{ name: string }>(
    "users-names",
    "select name from users where id = any($1::bigint[])",
    [ids],
  );
  await holdRights(sql, { alone: names.map(({ name }) => userLock(name)) });
  const rows = await sql.query<{ id: string }>(
    "users-suspend",
    `update users set suspended = true, token_epoch = token_epoch + 1
     where id = any($1::bigint[]) and not suspended returning id`,
    [ids],
  );
  return rows.map(({ id }) => Number(id));
}

export async function resumeUsers(sql: Sql, ids: readonly number[]): Promise<void> {
  await sql.query("users-resume", "update users set suspended = false where id = any($1::bigint[])", [ids]);
}

function newUser(name: string, { passwordHash }: UserChange): NewUser {
  if (passwordHash === undefined) throw invalidRequest("a new user needs a password");
  return { name, passwordHash };
}

async function changeUser(sql: Sql, name: string, change: UserChange): Promise<void> {
  const { passwordHash = null, systemAdmin = null, auditor = null, suspended = null } = change;
  await sql.query(
    "user-change",
    `update users set
       password_hash = coalesce($2, password_hash),
       token_epoch = token_epoch + case when $2 is null then 0 else 1 end,
       system_admin = coalesce($3, system_admin), auditor = coalesce($4, auditor), suspended = coalesce($5, suspended)
     where name = $1`,
    [name, passwordHash, systemAdmin, auditor, suspended],
  );
}

async function mustHaveAnotherAdmin(sql: Sql, name: string): Promise<void> {
  const text = "select 1 from users where system_admin and not suspended and name <> $1 limit 1";
  const [other] = await sql.query("user-other-admin", text, [name]);
  if (other === undefined)
    throw new OrgsError("last-admin", `${name} is the last system administrator; make somebody else one first`);
}

/** The locks make this wait for changes of those organizations that are under way. */
async function mustOwnNoOrgAlone(sql: Sql, { id, name }: User): Promise<void> {
  const owned = await sql.query<{ org: string }>(
    "user-owned",
    `select n.name as org from namespaces n where n.name in
       (select org from org_members where user_id = $1 and role = 'owner')
     order by n.name for no key update`,
    [id],
  );
  const [alone] = await sql.query<{ org: string }>(
    "user-owns-alone",
    `select o.org from unnest($2::text[]) o (org)
     where not exists (select 1 from org_members m join users u on u.id = m.user_id
       where m.org = o.org and m.role = 'owner' and u.id <> $1 and not u.suspended) limit 1`,
    [id, owned.map(({ org }) => org)],
  );
  if (alone !== undefined)
    throw new OrgsError("last-owner", `${name} is the last owner of ${alone.org}; make somebody else an owner first`);
}

function translate(name: string, cause: unknown): never {
  if (!isViolation(cause, "namespaces_pkey")) throw cause;
  throw new OrgsError("name-taken", `the name ${name} is taken`, { cause });
}
