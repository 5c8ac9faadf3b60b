import type { RepositoryName } from "../oci/repository-name.ts";
import { toLike } from "../oci/tag-pattern.ts";
import type { Change, Database, Row, Sql } from "./database.ts";
import { lockRepository } from "./repository-store.ts";

/** Tags of a repository that the server signs as part of the push. */
export interface AutoSignRule {
  readonly name: string;
  /** Patterns: see oci/tag-pattern.ts. */
  readonly tags: readonly string[];
  readonly version: string;
}

export interface AutoSignKey {
  readonly repository: RepositoryName;
  readonly name: string;
}

export interface AutoSignChange extends Change {
  /** Called once no push is under way any more, and before the rule is there; throws where it cannot be kept. */
  readonly prepare: (sql: Sql) => Promise<void>;
}

/** Whether a row of `tags` is under a rule: part of the statement that writes it, which has the repository's lock. */
export function isAutoSigned(row: string): string {
  return `exists (select from auto_sign_rules a where a.repository_id = ${row}.repository_id and ${row}.name like any (a.likes))`;
}

const COLUMNS = "a.name, a.tags, a.xmin::text as version";
const OF_REPOSITORY = "auto_sign_rules a join repositories r on r.id = a.repository_id where r.name = $1";

/** Rows of `auto_sign_rules`. */
export class AutoSignRules {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** By name, after `after`. */
  list(repository: RepositoryName, { after, limit }: { readonly after: string; readonly limit: number }) {
    return this.#database.query<AutoSignRule & Row>(
      "auto-sign-rules",
      `select ${COLUMNS} from ${OF_REPOSITORY} and a.name > $2 order by a.name limit $3`,
      [repository, after, limit],
    );
  }

  find(key: AutoSignKey): Promise<AutoSignRule | undefined> {
    return findRule(this.#database, key);
  }

  /** True when it is new; undefined where there is no such repository. Every push answered from then on is under it. */
  put(key: AutoSignKey, tags: readonly string[], change: AutoSignChange): Promise<boolean | undefined> {
    const { check, confirm, prepare } = change;
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      const repository = await lockRepository(sql, key.repository);
      if (repository === undefined) return undefined;
      const before = await findRule(sql, key);
      check(before?.version);
      await prepare(sql);
      await sql.query(
        "auto-sign-rule-put",
        `insert into auto_sign_rules (repository_id, name, tags, likes) values ($1, $2, $3, $4)
         on conflict (repository_id, name) do update set tags = excluded.tags, likes = excluded.likes`,
        [repository.id, key.name, tags, tags.map(toLike)],
      );
      return before === undefined;
    });
  }

  /** What is signed stays signed. False where there is no such rule. */
  delete(key: AutoSignKey, { check, confirm }: Change): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      const repository = await lockRepository(sql, key.repository);
      const before = repository && (await findRule(sql, key));
      check(before?.version);
      if (repository === undefined || before === undefined) return false;
      const text = "delete from auto_sign_rules where repository_id = $1 and name = $2";
      await sql.query("auto-sign-rule-delete", text, [repository.id, key.name]);
      return true;
    });
  }
}

async function findRule(sql: Sql, { repository, name }: AutoSignKey): Promise<AutoSignRule | undefined> {
  const text = `select ${COLUMNS} from ${OF_REPOSITORY} and a.name = $2`;
  return (await sql.query<AutoSignRule & Row>("auto-sign-rule", text, [repository, name]))[0];
}
