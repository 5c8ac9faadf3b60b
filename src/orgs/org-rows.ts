import type { Confirm, Sql } from "../storage/database.ts";
import { changeRights, type RightsRows } from "./change-rights.ts";
import { notFound, OrgsError } from "./errors.ts";

/** Name of an organization, and of what one asks for in it. */
export interface InOrg {
  readonly org: string;
  readonly name: string;
}

/**
 * One change of an organization's people, teams or grants at a time, each seeing the one before; pushes into its
 * repositories go on meanwhile.
 * @throws OrgsError not-found when there is no such organization
 */
export function inOrg<T>(
  rows: RightsRows,
  { org, confirm }: { readonly org: string; readonly confirm: Confirm },
  work: (sql: Sql) => Promise<T>,
): Promise<T> {
  return changeRights(rows, async (sql) => {
    await confirm(sql);
    const found = await sql.query(
      "org-lock",
      "select 1 from namespaces where name = $1 and kind = 'org' for no key update",
      [org],
    );
    if (found.length === 0) throw notFound();
    return work(sql);
  });
}

/** @throws OrgsError not-found */
export async function getUserId(sql: Sql, name: string): Promise<number> {
  const [row] = await sql.query<{ id: string }>("org-user", "select id from users where name = $1 for key share", [
    name,
  ]);
  if (row === undefined) throw new OrgsError("not-found", `there is no user ${name}`);
  return Number(row.id);
}
