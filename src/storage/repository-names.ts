import type { RepositoryName } from "../oci/repository-name.ts";
import type { Sql } from "./database.ts";

/** How long nobody finds another repository behind a name that they know. */
export const reservedDays = 90;

/** Who may use a name that a repository gave up. */
export interface Reservation {
  readonly until: Date;
  /** Only this repository may have it; undefined: whoever says so on purpose, but no push. */
  readonly heldFor: number | undefined;
}

/**
 * Rows of `repository_names`. Every end of a repository's life under a name raises the name's epoch, so that tokens and
 * whatever else was given out for it mean nothing to the next repository there.
 *
 *   free --make--> used --delete--> reserved (a push is refused; making it on purpose is not) --90 days--> free
 *                  used --move----> held (for the repository that left, nobody else)          --90 days--> free
 */
export async function findReservation(sql: Sql, name: RepositoryName): Promise<Reservation | undefined> {
  const [row] = await sql.query<{ until: Date; held_for: string | null }>(
    "name-reservation",
    "select reserved_until as until, held_for from repository_names where name = $1 and reserved_until > now()",
    [name],
  );
  if (row === undefined) return undefined;
  return { until: row.until, heldFor: row.held_for === null ? undefined : Number(row.held_for) };
}

/** The repository of this name was deleted, or (`heldFor`) moved away. */
export async function reserveName(sql: Sql, name: RepositoryName, heldFor: number | undefined): Promise<void> {
  await sql.query(
    "name-reserve",
    `insert into repository_names (name, epoch, reserved_until, held_for)
     values ($1, 1, now() + make_interval(days => $3), $2)
     on conflict (name) do update set epoch = repository_names.epoch + 1,
       reserved_until = excluded.reserved_until, held_for = excluded.held_for`,
    [name, heldFor ?? null, reservedDays],
  );
}

/** A repository came to this name by a move: what was given out for the name before meant nothing that was here. */
export async function takeName(sql: Sql, name: RepositoryName): Promise<void> {
  await sql.query(
    "name-take",
    `insert into repository_names (name, epoch) values ($1, 1)
     on conflict (name) do update set epoch = repository_names.epoch + 1, reserved_until = null, held_for = null`,
    [name],
  );
}

/** A repository of this name is made on purpose. */
export async function releaseName(sql: Sql, name: RepositoryName): Promise<void> {
  const text = "update repository_names set reserved_until = null, held_for = null where name = $1";
  await sql.query("name-release", text, [name]);
}
