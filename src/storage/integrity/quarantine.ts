import type { Digest } from "../../oci/digest.ts";
import type { Row, Sql } from "../database.ts";

export type DamageReason = "missing" | "size" | "digest" | "unreadable";

/** What is wrong with bytes, and what there is in their place. */
export interface Damage {
  readonly reason: DamageReason;
  /** For people: a size, a digest, an error. */
  readonly found: string;
}

/** Something that is in quarantine now. */
export interface Quarantined extends Damage {
  readonly kind: "blob" | "manifest";
  readonly digest: Digest;
  /** Bytes that it should have. */
  readonly size: number;
  /** A few of those that have it. */
  readonly repositories: readonly string[];
  readonly since: Date;
  /** Where the blob store keeps what was there; undefined: there was nothing, or PostgreSQL has it. */
  readonly aside: string | undefined;
}

const shownRepositories = 5;

/**
 * Rows of `quarantine`: what was found when something was marked. The marks themselves are columns of `blobs` and
 * `manifests`, and only they say that something is in quarantine still.
 */
export async function addToQuarantine(sql: Sql, digest: Digest, { reason, found }: Damage): Promise<number> {
  const [row] = await sql.query<{ id: string }>(
    "quarantine-add",
    "insert into quarantine (kind, digest, reason, found) values ('blob', $1, $2, $3) returning id",
    [digest, reason, found],
  );
  return Number(row?.id);
}

export async function noteAside(sql: Sql, id: number, aside: string): Promise<void> {
  await sql.query("quarantine-aside", "update quarantine set aside = $2 where id = $1", [id, aside]);
}

/** Where what was under `digest` is kept, the newest first. */
export async function findAsides(sql: Sql, digest: Digest): Promise<string[]> {
  const rows = await sql.query<{ aside: string }>(
    "quarantine-asides",
    "select aside from quarantine where digest = $1 and aside is not null order by id desc",
    [digest],
  );
  return rows.map(({ aside }) => aside);
}

/** What tells entries of {@link listQuarantined} apart, and orders them. */
export const quarantineKey = ({ digest, kind }: Pick<Quarantined, "digest" | "kind">): string => `${digest} ${kind}`;

/** All that is in quarantine, after the key `after`: blobs, and manifests with the repositories that have them. */
export async function listQuarantined(sql: Sql, after: string, limit: number): Promise<Quarantined[]> {
  const rows = await sql.query(
    "quarantine-list",
    `select m.*, q.reason, q.found, q.aside from (
       select 'blob' as kind, b.digest, b.size, b.quarantined_at as since, array(
         select r.name from repository_blobs l join repositories r on r.id = l.repository_id
         where l.digest = b.digest order by r.name limit $3) as repositories
       from blobs b where b.quarantined_at is not null
       union all
       select 'manifest', m.digest, m.size, min(m.quarantined_at), (array_agg(r.name order by r.name))[:$3]
       from manifests m join repositories r on r.id = m.repository_id
       where m.quarantined_at is not null group by m.digest, m.size
     ) m left join lateral (
       select reason, found, aside from quarantine q where q.digest = m.digest and q.kind = m.kind order by id desc limit 1
     ) q on true
     where m.digest || ' ' || m.kind > $1 order by m.digest || ' ' || m.kind limit $2`,
    [after, limit, shownRepositories],
  );
  return rows.map(toQuarantined);
}

/** How many blobs, and manifests of a repository, are in quarantine. */
export async function countQuarantined(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const [row] = await sql.query<{ blobs: number; manifests: number }>(
    "quarantine-count",
    `select (select count(*)::int from blobs where quarantined_at is not null) as blobs,
       (select count(*)::int from manifests where quarantined_at is not null) as manifests`,
  );
  return new Map([
    ["blob", row?.blobs ?? 0],
    ["manifest", row?.manifests ?? 0],
  ]);
}

function toQuarantined(row: Row): Quarantined {
  return {
    kind: row.kind,
    digest: row.digest,
    size: Number(row.size),
    repositories: row.repositories,
    since: row.since,
    // Marked by hand, perhaps.
    reason: row.reason ?? "digest",
    found: row.found ?? "",
    aside: row.aside ?? undefined,
  };
}
