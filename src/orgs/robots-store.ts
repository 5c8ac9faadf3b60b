import { randomBytes } from "node:crypto";
import type { Page } from "../http/rest-page.ts";
import { namespaceOf, type RepositoryName } from "../oci/repository-name.ts";
import type { Change, Confirm, Database, Sql } from "../storage/database.ts";
import { type Failpoint, noFailpoint } from "../storage/failpoint.ts";
import { together } from "../storage/statement-batch.ts";
import { changeRights, type RightsRows } from "./change-rights.ts";
import { notFound, OrgsError } from "./errors.ts";
import { type InOrg, inOrg } from "./org-rows.ts";
import type { RobotGrant } from "./permissions.ts";
import { hashOfSecret, newSecret } from "./secrets.ts";

export interface RobotRow {
  readonly name: string;
  /** Scopes are names within the organization, or the beginning of names and `*`. */
  readonly grants: readonly RobotGrant[];
  readonly expiresAt: Date | null;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  readonly version: string;
}

export interface RobotChange {
  readonly grants: readonly RobotGrant[];
  readonly expiresAt: Date | undefined;
}

/** What nodes pull for: the repositories are of one namespace. */
export interface ServicePull {
  /** `environment/service` */
  readonly service: string;
  readonly repositories: readonly RepositoryName[];
}

export interface PullSecret {
  /** To sign in with: `org+name`. */
  readonly username: string;
  readonly secret: string;
  readonly expiresAt: Date;
}

/** Of a secret that nodes pull with; the bridge asks for the next one at half of it. */
const pullSeconds = 24 * 3600;

const columns = `
  b.name, b.expires_at as "expiresAt", b.created_at as "createdAt", b.xmin::text as version,
  (select max(s.last_used_at) from robot_secrets s where s.robot_id = b.id) as "lastUsedAt",
  coalesce((select jsonb_agg(jsonb_build_object('scope', w.scope, 'actions', w.actions) order by w.scope) from (
    select coalesce(g.prefix || '*', substr(r.name, length(b.org) + 2)) collate "C" as scope, g.actions
    from robot_grants g left join repositories r on r.id = g.repository_id where g.robot_id = b.id) w), '[]') as grants`;

/** Rows of `robots`, their secrets and their grants. */
export class RobotsStore {
  readonly #database: Database;
  readonly #rows: RightsRows;

  constructor(database: Database, failpoint: Failpoint = noFailpoint) {
    this.#database = database;
    this.#rows = { database, failpoint };
  }

  list(org: string, { after, limit }: Page): Promise<RobotRow[]> {
    return this.#database.query<RobotRow>(
      "robots-list",
      `select ${columns} from robots b where b.org = $1 and b.name > $2 order by b.name limit $3`,
      [org, after, limit],
    );
  }

  find(where: InOrg): Promise<RobotRow | undefined> {
    return findRobot(this.#database, where);
  }

  /**
   * Make it, or replace what it may do. The secret of a new one, which can be shown only now.
   * @throws OrgsError not-found for a repository that a grant names
   */
  put(where: InOrg, { grants, expiresAt }: RobotChange, { check, confirm }: Change): Promise<string | undefined> {
    return inOrg(this.#rows, { org: where.org, confirm }, async (sql) => {
      const before = await findRobot(sql, where);
      check(before?.version);
      const [row] = await sql.query<{ id: string }>(
        "robot-put",
        `insert into robots (org, name, expires_at) values ($1, $2, $3)
         on conflict (full_name) do update set expires_at = excluded.expires_at returning id`,
        [where.org, where.name, expiresAt ?? null],
      );
      const id = Number(row?.id);
      await sql.query("robot-grants-clear", "delete from robot_grants where robot_id = $1", [id]);
      for (const grant of grants) await insertGrant(sql, { id, org: where.org }, grant);
      return before === undefined ? addSecret(sql, id) : undefined;
    });
  }

  /** A new secret; those before it stay good for `overlapSeconds`. @throws OrgsError not-found */
  rotate(where: InOrg, overlapSeconds: number, { check, confirm }: Change): Promise<string> {
    return inOrg(this.#rows, { org: where.org, confirm }, async (sql) => {
      check((await findRobot(sql, where))?.version);
      const id = await getRobotId(sql, where);
      await dropDeadSecrets(sql, id);
      await sql.query(
        "robot-secrets-end",
        `update robot_secrets set expires_at = least(expires_at, now() + make_interval(secs => $2)) where robot_id = $1`,
        [id, overlapSeconds],
      );
      return addSecret(sql, id);
    });
  }

  /**
   * A new secret of the robot of a service, which is made if need be and may pull from these repositories alone. One of the
   * secrets before it stays good for its time: the newest that was used, for that is what the nodes have.
   * @throws OrgsError not-found for a repository
   */
  async issuePull({ service, repositories }: ServicePull, confirm: Confirm): Promise<PullSecret> {
    const [first] = repositories;
    if (first === undefined) throw new Error("a pull secret of no repository");
    const org = namespaceOf(first);
    return changeRights(this.#rows, async (sql) => {
      await confirm(sql);
      const [, { id, ...robot }] = await together(
        sql.query("robot-namespace", "select 1 from namespaces where name = $1 for no key update", [org]),
        putRobotOf(sql, { org, service }),
      );
      const scopes = repositories.map((name) => name.slice(org.length + 1));
      const [secret] = await together(
        replaceSecrets(sql, id, robot.expiresAt),
        sql.query("robot-grants-clear", "delete from robot_grants where robot_id = $1", [id]),
        ...scopes.map((scope) => insertGrant(sql, { id, org }, { scope, actions: ["pull"] })),
      );
      return { ...robot, secret };
    });
  }

  /** Takes the robots of a service away, in whatever namespaces it has some. False where there are none. */
  async revokePulls(service: string, confirm: Confirm): Promise<boolean> {
    return changeRights(this.#rows, async (sql) => {
      await confirm(sql);
      const text = "delete from robots where service = $1 returning 1";
      return (await sql.query("robots-of-service-delete", text, [service])).length > 0;
    });
  }

  /** @throws OrgsError not-found */
  async delete(where: InOrg, { check, confirm }: Change): Promise<void> {
    await inOrg(this.#rows, { org: where.org, confirm }, async (sql) => {
      check((await findRobot(sql, where))?.version);
      await sql.query("robot-delete", "delete from robots where id = $1", [await getRobotId(sql, where)]);
    });
  }
}

/** A repository that leaves the organization is out of reach of its robots. */
export async function dropRobotGrantsOf(sql: Sql, repositoryId: number): Promise<void> {
  await sql.query("robot-grants-drop", "delete from robot_grants where repository_id = $1", [repositoryId]);
}

interface ServiceRobot extends Omit<PullSecret, "secret"> {
  readonly id: number;
}

async function putRobotOf(sql: Sql, of: { org: string; service: string }): Promise<ServiceRobot> {
  const [row] = await sql.query<Omit<ServiceRobot, "id"> & { id: string }>(
    "robot-of-service",
    `insert into robots (org, name, service, expires_at) values ($1, $2, $3, now() + make_interval(secs => $4))
     on conflict (org, service) do update set expires_at = excluded.expires_at
     returning id, full_name as username, expires_at as "expiresAt"`,
    [of.org, `pull-${randomBytes(8).toString("hex")}`, of.service, pullSeconds],
  );
  if (row === undefined) throw new Error("the robot was not made");
  return { ...row, id: Number(row.id) };
}

/** A new one, beside the one before it that was used last. */
async function replaceSecrets(sql: Sql, robotId: number, expiresAt: Date): Promise<string> {
  const [, , secret] = await together(
    dropDeadSecrets(sql, robotId),
    sql.query(
      "robot-secrets-two",
      `delete from robot_secrets where robot_id = $1 and id not in (
         select id from robot_secrets where robot_id = $1 order by last_used_at is null, id desc limit 1)`,
      [robotId],
    ),
    addSecret(sql, robotId, expiresAt),
  );
  return secret;
}

async function findRobot(sql: Sql, { org, name }: InOrg): Promise<RobotRow | undefined> {
  const text = `select ${columns} from robots b where b.org = $1 and b.name = $2`;
  const [row] = await sql.query<RobotRow>("robot-find", text, [org, name]);
  return row;
}

/** @throws OrgsError not-found */
async function getRobotId(sql: Sql, { org, name }: InOrg): Promise<number> {
  const text = "select id from robots where org = $1 and name = $2";
  const [row] = await sql.query<{ id: string }>("robot-id", text, [org, name]);
  if (row === undefined) throw notFound();
  return Number(row.id);
}

async function insertGrant(
  sql: Sql,
  robot: { id: number; org: string },
  { scope, actions }: RobotGrant,
): Promise<void> {
  const prefix = scope.endsWith("*") ? scope.slice(0, -1) : null;
  const rows = await sql.query(
    "robot-grant-insert",
    `insert into robot_grants (robot_id, org, repository_id, prefix, actions)
     select $1, $2, r.id, $3, $4
     from (select 1) one left join repositories r on $3::text is null and r.name = $2 || '/' || $5
     where $3 is not null or r.id is not null
     on conflict on constraint robot_grants_scope do update set actions = excluded.actions returning 1`,
    [robot.id, robot.org, prefix, actions, scope],
  );
  if (rows.length === 0)
    throw new OrgsError("not-found", `there is no repository ${robot.org}/${scope}; make it first, or name a pattern`);
}

/** Without `expiresAt` it is good until it is rotated. */
async function addSecret(sql: Sql, robotId: number, expiresAt?: Date): Promise<string> {
  const secret = newSecret("gsb_");
  const text = "insert into robot_secrets (robot_id, secret_hash, expires_at) values ($1, $2, $3)";
  await sql.query("robot-secret-add", text, [robotId, hashOfSecret(secret), expiresAt ?? null]);
  return secret;
}

async function dropDeadSecrets(sql: Sql, robotId: number): Promise<void> {
  const text = "delete from robot_secrets where robot_id = $1 and expires_at <= now()";
  await sql.query("robot-secrets-dead", text, [robotId]);
}
