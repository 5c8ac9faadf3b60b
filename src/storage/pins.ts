import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "./database.ts";

/** Why something that no tag names must stay. */
export interface Pin {
  readonly repository: RepositoryName;
  /** Of a manifest, with all that it needs, or of a blob. */
  readonly digest: Digest;
  /** Who holds on to it: `signature`, `promotion`, `deployment`. */
  readonly kind: string;
  /** Which one, in the words of its kind. One owner's pins of a digest are one. */
  readonly owner: string;
  /** On the database's clock; undefined: until {@link unpin}. */
  readonly until?: Date | undefined;
}

/**
 * From the commit of `sql` on the collector leaves it alone. False, and nothing is pinned, when the repository does not
 * have it: the locks taken here keep it until the commit.
 */
export async function pin(sql: Sql, { repository, digest, kind, owner, until }: Pin): Promise<boolean> {
  const [manifest] = await sql.query<{ id: string }>(
    "pin-manifest",
    `select m.repository_id as id from manifests m join repositories r on r.id = m.repository_id
     where r.name = $1 and m.digest = $2 for key share of m`,
    [repository, digest],
  );
  const [held] = manifest === undefined ? await findLink(sql, repository, digest) : [manifest];
  if (held === undefined) return false;
  await sql.query(
    "pin-put",
    `insert into pins (repository_id, digest, kind, owner, until) values ($1, $2, $3, $4, $5)
     on conflict (repository_id, digest, kind, owner) do update set until = excluded.until`,
    [held.id, digest, kind, owner, until ?? null],
  );
  return true;
}

/** Takes the pin away; what nothing else holds on to goes when its time is over, counted from now. */
export async function unpin(sql: Sql, { repository, digest, kind, owner }: Omit<Pin, "until">): Promise<void> {
  await sql.query(
    "pin-delete",
    `delete from pins p using repositories r
     where r.id = p.repository_id and r.name = $1 and p.digest = $2 and p.kind = $3 and p.owner = $4`,
    [repository, digest, kind, owner],
  );
}

/** Pins of manifests that the transaction holds already. */
export interface PinSet {
  readonly kind: string;
  readonly pins: readonly { readonly repositoryId: number; readonly digest: Digest; readonly owner: string }[];
  /** Until when, on the database's clock. */
  readonly days: number;
}

/** From the commit of `sql` on there are these of their kind, for so long, and no others. */
export async function replacePins(sql: Sql, { kind, pins, days }: PinSet): Promise<void> {
  const columns = [
    pins.map(({ repositoryId }) => repositoryId),
    pins.map(({ digest }) => digest),
    pins.map(({ owner }) => owner),
  ];
  const listed = "unnest($2::bigint[], $3::text[], $4::text[]) k (id, digest, owner)";
  await sql.query(
    "pins-clear",
    `delete from pins p where p.kind = $1 and not exists (
       select from ${listed} where (k.id, k.digest, k.owner) = (p.repository_id, p.digest, p.owner))`,
    [kind, ...columns],
  );
  await sql.query(
    "pins-put",
    `insert into pins (repository_id, digest, kind, owner, until)
     select k.id, k.digest, $1, k.owner, now() + make_interval(days => $5) from ${listed} order by k.id, k.digest, k.owner
     on conflict (repository_id, digest, kind, owner) do update set until = excluded.until`,
    [kind, ...columns, days],
  );
}

function findLink(sql: Sql, repository: RepositoryName, digest: Digest): Promise<{ id: string }[]> {
  return sql.query<{ id: string }>(
    "pin-link",
    `select b.repository_id as id from repository_blobs b join repositories r on r.id = b.repository_id
     where r.name = $1 and b.digest = $2 for key share of b`,
    [repository, digest],
  );
}
