import type { Confirm, Database } from "../storage/database.ts";
import { hashOfSecret, newSecret } from "./secrets.ts";
import type { User } from "./users-store.ts";

/** What a refresh token is good for: only the client it was given to may use it, and only at this service. */
export interface RefreshBinding {
  readonly service: string;
  readonly clientId: string;
}

export interface NewRefreshToken extends RefreshBinding {
  /** Row id of the personal token that it is got for, and ends with. */
  readonly credential: number | undefined;
}

/** One that nobody used for so long is dead; each use begins the time anew. */
const idleDays = 90;

/** Whose a refresh token is. */
export interface RefreshOwner {
  readonly name: string;
  /** Row id of the personal token that it was got for, and ends with. */
  readonly credential: number | undefined;
}

/** Rows of `refresh_tokens`: what `docker login` keeps in place of the password. Only a hash of it is stored. */
export class RefreshTokensStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async create(user: User, { service, clientId, credential }: NewRefreshToken, confirm: Confirm): Promise<string> {
    const token = newSecret("gsr_");
    await this.#database.transaction(async (sql) => {
      await confirm(sql);
      await sql.query(
        "refresh-create",
        `insert into refresh_tokens (token_hash, user_id, service, client_id, token_epoch, personal_token_id)
         values ($1, $2, $3, $4, $5, $6)`,
        [hashOfSecret(token), user.id, service, clientId, user.tokenEpoch, credential ?? null],
      );
    });
    return token;
  }

  /** Removes those that nobody can use any more. */
  async sweep(): Promise<void> {
    await this.#database.query(
      "refresh-sweep",
      `delete from refresh_tokens t using users u
       where u.id = t.user_id
         and (t.token_epoch <> u.token_epoch or t.used_at <= now() - make_interval(days => $1))`,
      [idleDays],
    );
  }

  /** Undefined for one that is unknown, dead, or bound to something else. */
  async use(token: string, { service, clientId }: RefreshBinding): Promise<RefreshOwner | undefined> {
    const [row] = await this.#database.query<{ name: string; credential: string | null }>(
      "refresh-use",
      `update refresh_tokens t set used_at = now()
       from users u
       where u.id = t.user_id and not u.suspended and t.token_epoch = u.token_epoch
         and t.token_hash = $1 and t.service = $2 and t.client_id = $3
         and t.used_at > now() - make_interval(days => $4)
       returning u.name, t.personal_token_id as credential`,
      [hashOfSecret(token), service, clientId, idleDays],
    );
    if (row === undefined) return undefined;
    return { name: row.name, credential: row.credential === null ? undefined : Number(row.credential) };
  }
}
