import type { Database } from "../storage/database.ts";

/** While `work` runs, no change can be put on record: there is no room for it on the disk. */
export async function withoutRecord<T>(database: Database, work: () => Promise<T>): Promise<T> {
  await database.query(
    "",
    `create or replace function disk_full() returns trigger language plpgsql as
     $$ begin raise exception 'no space left on device' using errcode = 'disk_full'; end $$`,
  );
  await database.query(
    "",
    `create trigger broken before insert on audit_log for each row when (new.outcome = 'done') execute function disk_full()`,
  );
  try {
    return await work();
  } finally {
    await database.query("", "drop trigger broken on audit_log");
  }
}
