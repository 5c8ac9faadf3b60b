import { type Database, isViolation, type Row } from "../storage/database.ts";
import { OrgsError } from "./errors.ts";

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
}

export interface NewUser {
  readonly name: string;
  readonly passwordHash: string;
  readonly systemAdmin?: boolean;
}

/** Columns of `users` as {@link toUser} reads them. */
export const userColumns =
  "u.id, u.name, u.password_hash, u.system_admin, u.auditor, u.suspended, u.token_epoch, u.created_at as user_created_at";

/** Rows of `users`, and the name each of them holds in `namespaces`. */
export class UsersStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(name: string): Promise<User | undefined> {
    const [row] = await this.#database.query("user-find", `select ${userColumns} from users u where name = $1`, [name]);
    return row === undefined ? undefined : toUser(row);
  }

  async findById(id: number): Promise<User | undefined> {
    const [row] = await this.#database.query("user-find-id", `select ${userColumns} from users u where id = $1`, [id]);
    return row === undefined ? undefined : toUser(row);
  }

  async list(): Promise<User[]> {
    return (await this.#database.query("user-list", `select ${userColumns} from users u order by name`)).map(toUser);
  }

  async countSystemAdmins(): Promise<number> {
    const [row] = await this.#database.query<{ n: string }>(
      "user-admins",
      "select count(*) as n from users where system_admin",
    );
    return Number(row?.n ?? 0);
  }

  /** @throws OrgsError name-taken by a user or an organization */
  async create({ name, passwordHash, systemAdmin = false }: NewUser): Promise<void> {
    try {
      await this.#database.transaction(async (sql) => {
        await sql.query("user-name", "insert into namespaces (name, kind) values ($1, 'user')", [name]);
        await sql.query("user-create", "insert into users (name, password_hash, system_admin) values ($1, $2, $3)", [
          name,
          passwordHash,
          systemAdmin,
        ]);
      });
    } catch (error) {
      if (isViolation(error, "namespaces_pkey")) throw new OrgsError("name-taken", `the name ${name} is taken`);
      throw error;
    }
  }

  /** Also ends every token of the user. False when there is no such user. */
  async changePassword(name: string, passwordHash: string): Promise<boolean> {
    const rows = await this.#database.query(
      "user-password",
      "update users set password_hash = $2, token_epoch = token_epoch + 1 where name = $1 returning id",
      [name, passwordHash],
    );
    return rows.length > 0;
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
  };
}
