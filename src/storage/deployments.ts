import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Database, Row, Sql } from "./database.ts";
import { replacePins } from "./pins.ts";

/** What a digest is to a service: its tasks are of it, or the bridge would go back to it. */
export type DeploymentState = "running" | "rollback";

export interface Deployed {
  readonly environment: string;
  readonly service: string;
  readonly repository: RepositoryName;
  /** Of a manifest. */
  readonly digest: Digest;
  readonly state: DeploymentState;
}

export type ServiceUse = Pick<Deployed, "environment" | "service" | "state">;

/** How long the bridge's word is good: it may be away for a weekend, and a node may be lost meanwhile. */
export const leaseDays = 7;
const KIND = "deployment";

/** Thrown where something would go that the cluster runs. The names of services are for readers of the repository. */
export class RunsError extends Error {
  readonly uses: readonly ServiceUse[];

  constructor(uses: readonly ServiceUse[]) {
    super("the cluster runs it");
    this.name = "RunsError";
    this.uses = uses;
  }
}

/** A sentence for whoever wants `what` to go. @param uses undefined: they may not know */
export function runsMessage(what: string, uses: readonly ServiceUse[] | undefined): string {
  const next = "; remove the service there, or deploy another image, first";
  if (uses === undefined) return `${what} is in use on the cluster${next}`;
  const named = (state: DeploymentState): string =>
    [...new Set(uses.filter((use) => use.state === state).map((use) => `${use.environment}/${use.service}`))].join(
      ", ",
    );
  const [running, rollback] = [named("running"), named("rollback")];
  const parts = [running && `runs as ${running}`, rollback && `is what ${rollback} would be rolled back to`];
  return `${what} ${parts.filter(Boolean).join(", and ")}${next}`;
}

/**
 * `list` is all that is deployed, from the commit of `sql` on; what is not in it is over. Returns those of it that no
 * repository has: nothing can keep them. Each list waits for the one before.
 */
export async function replaceDeployments(sql: Sql, list: readonly Deployed[]): Promise<readonly Deployed[]> {
  await sql.query("deployments-lock", "select pg_advisory_xact_lock(hashtextextended('goldseal deployments', 0))");
  const ids = await holdManifests(sql, list);
  const held = list.flatMap((entry, index) => {
    const repositoryId = ids.get(index);
    return repositoryId === undefined ? [] : [{ ...entry, repositoryId }];
  });
  const pins = held.map(({ repositoryId, digest, environment, service }) => {
    return { repositoryId, digest, owner: `${environment}/${service}` };
  });
  await replacePins(sql, { kind: KIND, pins, days: leaseDays });
  await replaceRows(sql, held);
  return list.filter((_, index) => !ids.has(index));
}

/** Repository ids by place in the list. The locks keep the manifests until the commit. */
async function holdManifests(sql: Sql, list: readonly Deployed[]): Promise<ReadonlyMap<number, number>> {
  const rows = await sql.query<{ id: string; place: string }>(
    "deployments-hold",
    `select m.repository_id as id, k.place from unnest($1::text[], $2::text[]) with ordinality k (name, digest, place)
     join repositories r on r.name = k.name join manifests m on m.repository_id = r.id and m.digest = k.digest
     order by m.repository_id, m.digest for key share of m`,
    [list.map(({ repository }) => repository), list.map(({ digest }) => digest)],
  );
  return new Map(rows.map(({ id, place }) => [Number(place) - 1, Number(id)]));
}

const LISTED =
  "unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) k (id, digest, environment, service, state)";

async function replaceRows(sql: Sql, held: readonly (Deployed & { readonly repositoryId: number })[]): Promise<void> {
  const columns = [
    held.map(({ repositoryId }) => repositoryId),
    held.map(({ digest }) => digest),
    held.map(({ environment }) => environment),
    held.map(({ service }) => service),
    held.map(({ state }) => state),
  ];
  await sql.query(
    "deployments-end",
    `update deployments d set ended_at = now() where d.ended_at is null and not exists (
       select from ${LISTED} where (k.id, k.digest, k.environment, k.service, k.state)
         = (d.repository_id, d.digest, d.environment, d.service, d.state))`,
    columns,
  );
  await sql.query(
    "deployments-put",
    `insert into deployments (repository_id, digest, environment, service, state, until)
     select k.id, k.digest, k.environment, k.service, k.state, now() + make_interval(days => $6) from ${LISTED}
     order by k.id, k.digest, k.environment, k.service
     on conflict (repository_id, digest, environment, service) where ended_at is null do update set until = excluded.until`,
    [...columns, leaseDays],
  );
}

const IN_FORCE = "d.ended_at is null and d.until > now()";

/**
 * In the transaction that deletes the manifest, which holds its row; without a digest, of one that gives the whole repository
 * up or another name.
 * @throws RunsError
 */
export async function mustNotRun(sql: Sql, repository: RepositoryName, digest?: Digest): Promise<void> {
  const uses = await sql.query<ServiceUse>(
    "deployments-of",
    `select distinct d.environment, d.service, d.state from deployments d join repositories r on r.id = d.repository_id
     where r.name = $1 and ($2::text is null or d.digest = $2) and ${IN_FORCE} order by 1, 2, 3`,
    [repository, digest ?? null],
  );
  if (uses.length > 0) throw new RunsError(uses);
}

/** In the transaction that has deleted a tag of it: the last tag of what runs stays. @throws RunsError */
export async function mustHaveTag(sql: Sql, repository: RepositoryName, digest: Digest): Promise<void> {
  // Of two that delete the last two tags at once, the other one has to see that this one's is gone.
  const rows = await sql.query(
    "deployments-hold-tag",
    `select 1 from deployments d join repositories r on r.id = d.repository_id
     where r.name = $1 and d.digest = $2 and ${IN_FORCE} order by d.id for no key update of d`,
    [repository, digest],
  );
  if (rows.length === 0) return;
  const tags = await sql.query(
    "deployments-tagged",
    `select 1 from tags t join repositories r on r.id = t.repository_id
     where r.name = $1 and t.manifest_digest = $2 limit 1`,
    [repository, digest],
  );
  if (tags.length === 0) await mustNotRun(sql, repository, digest);
}

/** One time that an image ran somewhere, or was kept to go back to. */
export interface DeploymentEntry {
  readonly at: Date;
  readonly kind: string;
  readonly repository: RepositoryName;
  readonly tag: undefined;
  readonly by: readonly string[];
  readonly teams: readonly string[];
  readonly from: undefined;
  readonly detail: {
    readonly environment: string;
    readonly service: string;
    /** When it was over; null: it is so now. */
    readonly until: string | null;
    /** `runs in prod as web` */
    readonly where: string;
  };
}

/** By place in the list: who ordered it, where that is known. */
export type FindDeployers = (
  list: readonly (Pick<Deployed, "environment" | "service" | "digest"> & { readonly since: Date })[],
) => Promise<readonly (string | undefined)[]>;

/** Part of the history of one image. */
export function openDeploymentHistory(database: Database, findDeployers: FindDeployers) {
  return async ({ digest, limit }: { readonly digest: Digest; readonly limit: number }): Promise<DeploymentEntry[]> => {
    const rows = await database.query(
      "deployments-history",
      `select d.*, r.name as repository, coalesce(d.ended_at, case when d.until <= now() then d.until end) as over
       from deployments d join repositories r on r.id = d.repository_id where d.digest = $1 order by d.id desc limit $2`,
      [digest, limit],
    );
    const deployers = await findDeployers(
      rows.map(({ environment, service, since }) => ({ environment, service, since, digest })),
    );
    return rows.map((row, index) => toEntry(row, deployers[index]));
  };
}

function toEntry(
  { since, state, repository, environment, service, over }: Row,
  deployer: string | undefined,
): DeploymentEntry {
  const [until, isRunning]: [Date | null, boolean] = [over, state === "running"];
  const verb = isRunning ? (until === null ? "runs" : "ran") : until === null ? "is kept" : "was kept";
  const where = `${verb} in ${environment} ${isRunning ? "as" : "for a rollback of"} ${service}`;
  return {
    ...{ at: since, kind: isRunning ? "deployed" : "kept", repository },
    // Nobody orders that something is kept.
    by: isRunning && deployer !== undefined ? [deployer] : [],
    ...{ tag: undefined, teams: [], from: undefined },
    detail: { environment, service, until: until?.toISOString() ?? null, where },
  };
}
