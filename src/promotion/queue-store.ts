import type { Digest } from "../oci/digest.ts";
import type { Tag } from "../oci/reference.ts";
import type { Row, Sql } from "../storage/database.ts";

// Rows of `promotion_queue`. Where no policy is on, nothing is written down: one that is switched on later is for what comes
// later.

/** A tag that came to name an image. */
export interface Arrival {
  readonly repositoryId: number;
  readonly tag: Tag;
  readonly digest: Digest;
  /** Policies that led here: none is gone through twice. */
  readonly via: readonly number[];
}

/** Something to hold against the policies of its repository. */
export interface Task {
  readonly id: number;
  readonly repositoryId: number;
  /** Undefined: every tag of the digest. */
  readonly tag: Tag | undefined;
  readonly digest: Digest;
  readonly via: readonly number[];
}

/** In the transaction that moves the tag. */
export async function enqueue(sql: Sql, { repositoryId, tag, digest, via }: Arrival): Promise<void> {
  await sql.query(
    "promotion-enqueue",
    `insert into promotion_queue (repository_id, tag, digest, via)
     select $1, $2, $3, $4 where exists (select from promotion_policies p where p.source_id = $1 and p.enabled)`,
    [repositoryId, tag, digest, via],
  );
}

/** In the transaction that brings a signature: wherever the image is, or an index that lists it, a gate may be open now. */
export async function enqueueSigned(sql: Sql, digests: readonly Digest[]): Promise<void> {
  if (digests.length === 0) return;
  await sql.query(
    "promotion-enqueue-signed",
    `with source as (select distinct p.source_id as id from promotion_policies p where p.enabled),
     image as (
       select m.repository_id, m.digest from source s
       join manifests m on m.repository_id = s.id and m.digest = any($1::text[])
       union
       select c.repository_id, c.manifest_digest from source s
       join manifest_children c on c.repository_id = s.id and c.child_digest = any($1::text[])
     )
     insert into promotion_queue (repository_id, digest) select repository_id, digest from image`,
    [digests],
  );
}

/**
 * The one that waits longest. Nobody else takes it for a while, longer each time it was taken: whoever dies at it leaves it
 * for another.
 */
export async function takeDue(sql: Sql): Promise<Task | undefined> {
  const [row] = await sql.query(
    "promotion-take-due",
    `with next as (
       select q.id from promotion_queue q where q.due <= now() order by q.due, q.id limit 1 for update skip locked
     )
     update promotion_queue q set tries = q.tries + 1, due = now() + least(600, 5 * power(2, least(q.tries, 10))) * interval '1 second'
     from next where q.id = next.id returning q.*`,
  );
  return row === undefined ? undefined : toTask(row);
}

export async function deleteTask(sql: Sql, id: number): Promise<void> {
  await sql.query("promotion-dequeue", "delete from promotion_queue where id = $1", [id]);
}

function toTask(row: Row): Task {
  return {
    id: Number(row.id),
    repositoryId: Number(row.repository_id),
    tag: row.tag ?? undefined,
    digest: row.digest,
    via: row.via.map(Number),
  };
}
