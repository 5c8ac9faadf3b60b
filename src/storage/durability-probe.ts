import type { Database } from "./database.ts";

interface Settings {
  fsync: string;
  synchronous_commit: string;
  full_page_writes: string;
  standby: boolean;
}

/** Why this database cannot keep what an answer promises, one sentence each; empty when it can. */
export async function findDurabilityFaults(database: Database): Promise<string[]> {
  const [settings] = await database.query<Settings>(
    "",
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous_commit,
       current_setting('full_page_writes') as full_page_writes, pg_is_in_recovery() as standby`,
  );
  if (settings === undefined) return ["PostgreSQL does not tell its settings"];
  const faults: string[] = [];
  if (settings.fsync === "off")
    faults.push("fsync is off in PostgreSQL: a power cut would lose what was acknowledged; set fsync = on");
  if (settings.synchronous_commit === "off") {
    faults.push("synchronous_commit is off in PostgreSQL: a crash would lose what was acknowledged; set it to on");
  }
  if (settings.full_page_writes === "off")
    faults.push("full_page_writes is off in PostgreSQL: a power cut could tear pages; set it to on");
  if (settings.standby)
    faults.push("this PostgreSQL is a read-only standby; point GOLDSEAL_DATABASE_URL at the primary");
  return faults;
}
