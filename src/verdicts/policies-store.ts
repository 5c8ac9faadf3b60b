import { ProblemError } from "../http/problem.ts";
import type { Page } from "../http/rest-page.ts";
import { OciError } from "../oci/error.ts";
import type { Change, Database, Row, Sql } from "../storage/database.ts";
import { type Policy, type PolicyDocument, policyBody } from "./policy-schema.ts";

export interface StoredPolicy extends Policy {
  readonly version: string;
}

/** A policy of an organization or user. */
export interface PolicyKey {
  readonly org: string;
  readonly name: string;
}

/** Of one organization. */
const maxPolicies = 64;

const columns = "p.id, p.org, p.name, p.document, p.xmin::text as version";

/** Rows of `policies`. Every change of them makes all verdicts of the organization's repositories anew. */
export class PoliciesStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** In the order of their names. */
  async list(org: string, { after, limit }: Page): Promise<StoredPolicy[]> {
    const text = `select ${columns} from policies p where p.org = $1 and p.name > $2 order by p.name limit $3`;
    return (await this.#database.query("policies-list", text, [org, after, limit])).map(toPolicy);
  }

  find(key: PolicyKey): Promise<StoredPolicy | undefined> {
    return findPolicy(this.#database, key);
  }

  /** All of the organization. */
  async ofOrg(org: string): Promise<StoredPolicy[]> {
    const text = `select ${columns} from policies p where p.org = $1 order by p.name`;
    return (await this.#database.query("policies-of-org", text, [org])).map(toPolicy);
  }

  /**
   * True when it is new.
   * @throws OciError NAME_UNKNOWN where there is no such organization or user; ProblemError too-many-policies
   */
  put(key: PolicyKey, document: PolicyDocument, { check, confirm }: Change): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      await lockNamespace(sql, key.org);
      const before = await findPolicy(sql, key);
      check(before?.version);
      if (before === undefined) await refuseTooMany(sql, key.org);
      const text = `insert into policies (org, name, mode, document) values ($1, $2, $3, $4)
        on conflict (org, name) do update set mode = excluded.mode, document = excluded.document`;
      await sql.query("policy-put", text, [key.org, key.name, document.mode, JSON.stringify(document)]);
      await watchOrg(sql, key.org);
      return before === undefined;
    });
  }

  /** False when there is none. @throws OciError NAME_UNKNOWN */
  delete(key: PolicyKey, { check, confirm }: Change): Promise<boolean> {
    return this.#database.transaction(async (sql) => {
      await confirm(sql);
      await lockNamespace(sql, key.org);
      const before = await findPolicy(sql, key);
      check(before?.version);
      if (before === undefined) return false;
      await sql.query("policy-delete", "delete from policies where id = $1", [before.id]);
      await watchOrg(sql, key.org);
      return true;
    });
  }
}

/** A pull may have to be judged by all of them. @throws ProblemError too-many-policies */
async function refuseTooMany(sql: Sql, org: string): Promise<void> {
  const text = "select count(*)::int as count from policies where org = $1";
  const [row] = await sql.query<{ count: number }>("policies-count", text, [org]);
  if ((row?.count ?? 0) >= maxPolicies)
    throw new ProblemError(409, "too-many-policies", `an organization has ${maxPolicies} policies at most`);
}

/** Alone: whoever makes a repository, or moves one here, shares this lock. */
async function lockNamespace(sql: Sql, org: string): Promise<void> {
  const rows = await sql.query("policy-namespace", "select 1 from namespaces where name = $1 for update", [org]);
  if (rows.length === 0) throw new OciError("NAME_UNKNOWN");
}

/** See 0034_verdicts.sql. */
async function watchOrg(sql: Sql, org: string): Promise<void> {
  const text = "select verdict_watch(id) from repositories where namespace = $1 order by id";
  await sql.query("policy-watch", text, [org]);
}

async function findPolicy(sql: Sql, { org, name }: PolicyKey): Promise<StoredPolicy | undefined> {
  const text = `select ${columns} from policies p where p.org = $1 and p.name = $2`;
  const [row] = await sql.query("policy-find", text, [org, name]);
  return row === undefined ? undefined : toPolicy(row);
}

function toPolicy({ id, org, name, document, version }: Row): StoredPolicy {
  return { id: Number(id), org, name, version, ...policyBody.parse(document) };
}
