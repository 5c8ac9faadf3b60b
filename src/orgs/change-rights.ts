import type { Database, Sql } from "../storage/database.ts";
import type { Failpoint } from "../storage/failpoint.ts";

/** Where the rows are that say who may do what, and who may be ended while they change. */
export interface RightsRows {
  readonly database: Database;
  readonly failpoint: Failpoint;
}

/**
 * One change of who may do what, in a transaction of its own. The version of the rights is raised in it, by deferred
 * triggers: with the commit it is raised, and from then on every request of every process is judged by what was changed.
 */
export async function changeRights<T>({ database, failpoint }: RightsRows, work: (sql: Sql) => Promise<T>): Promise<T> {
  const result = await database.transaction(async (sql) => {
    const changed = await work(sql);
    await failpoint("acl.beforeCommit");
    return changed;
  });
  await failpoint("acl.afterEpoch");
  return result;
}
