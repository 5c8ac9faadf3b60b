import type { Page } from "../http/rest-page.ts";
import { type Confirm, type Database, isViolation, type Sql } from "../storage/database.ts";
import { notFound, OrgsError } from "./errors.ts";
import { hashOfSecret, newSecret } from "./secrets.ts";

export interface PersonalToken {
  readonly name: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
}

export interface NewPersonalToken {
  readonly userId: number;
  readonly name: string;
  /** Undefined: until it is deleted. */
  readonly expiresAt: Date | undefined;
}

const columns = 'name, created_at as "createdAt", expires_at as "expiresAt", last_used_at as "lastUsedAt"';

/** With a password end the tokens that were made by it: who stole the one may have made the others. */
export async function dropPersonalTokensOf(sql: Sql, userId: number): Promise<void> {
  await sql.query("personal-tokens-drop", "delete from personal_tokens where user_id = $1", [userId]);
}

/** Rows of `personal_tokens`. */
export class PersonalTokensStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  list(userId: number, { after, limit }: Page): Promise<PersonalToken[]> {
    return this.#database.query<PersonalToken>(
      "personal-tokens",
      `select ${columns} from personal_tokens where user_id = $1 and name > $2 order by name limit $3`,
      [userId, after, limit],
    );
  }

  /** With the token itself, which can be shown only now. @throws OrgsError name-taken */
  async create(
    { userId, name, expiresAt }: NewPersonalToken,
    confirm: Confirm,
  ): Promise<PersonalToken & { readonly secret: string }> {
    const secret = newSecret("gsp_");
    const [row] = await this.#database
      .transaction(async (sql) => {
        await confirm(sql);
        return sql.query<PersonalToken>(
          "personal-token-create",
          `insert into personal_tokens (user_id, name, token_hash, expires_at) values ($1, $2, $3, $4) returning ${columns}`,
          [userId, name, hashOfSecret(secret), expiresAt ?? null],
        );
      })
      .catch((cause: unknown) => {
        if (!isViolation(cause, "personal_tokens_user_id_name_key")) throw cause;
        throw new OrgsError("name-taken", `you have a token ${name} already`, { cause });
      });
    if (row === undefined) throw new Error("the insert returned no row");
    return { ...row, secret };
  }

  /** With every access and identity token got for it. @throws OrgsError not-found */
  async delete(userId: number, name: string, confirm: Confirm): Promise<void> {
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      const rows = await sql.query(
        "personal-token-delete",
        "delete from personal_tokens where user_id = $1 and name = $2 returning 1",
        [userId, name],
      );
      if (rows.length === 0) throw notFound();
    });
  }
}
