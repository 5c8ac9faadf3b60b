import { createHash, randomBytes } from "node:crypto";
import type { Database } from "../storage/database.ts";
import type { User } from "./users-store.ts";

/** What a refresh token is good for: only the client it was given to may use it, and only at this service. */
export interface RefreshBinding {
  readonly service: string;
  readonly clientId: string;
}

/** One that nobody used for so long is dead; each use begins the time anew. */
const idleDays = 90;
const tokenBytes = 32;
const PREFIX = "gsr_";

/** Rows of `refresh_tokens`: what `docker login` keeps in place of the password. Only a hash of it is stored. */
export class RefreshTokensStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async create(user: User, { service, clientId }: RefreshBinding): Promise<string> {
    const token = PREFIX + randomBytes(tokenBytes).toString("base64url");
    await this.#database.query(
      "refresh-create",
      "insert into refresh_tokens (token_hash, user_id, service, client_id, token_epoch) values ($1, $2, $3, $4, $5)",
      [hashOf(token), user.id, service, clientId, user.tokenEpoch],
    );
    return token;
  }

  /** Name of the user whose token it is; undefined for one that is unknown, dead, or bound to something else. */
  async use(token: string, { service, clientId }: RefreshBinding): Promise<string | undefined> {
    const [row] = await this.#database.query<{ name: string }>(
      "refresh-use",
      `update refresh_tokens t set used_at = now()
       from users u
       where u.id = t.user_id and not u.suspended and t.token_epoch = u.token_epoch
         and t.token_hash = $1 and t.service = $2 and t.client_id = $3
         and t.used_at > now() - make_interval(days => $4)
       returning u.name`,
      [hashOf(token), service, clientId, idleDays],
    );
    return row?.name;
  }
}

/** 256 random bits need no slow hash. */
function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
