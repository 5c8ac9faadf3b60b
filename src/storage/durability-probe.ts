import type { Database } from "./database.ts";

interface Settings {
  fsync: string;
  synchronous_commit: string;
  full_page_writes: string;
  standby: boolean;
}

/** Something that keeps a database from keeping promises, and what to do about it. */
export interface DurabilityFault {
  readonly text: string;
  readonly mend: string;
}

/** Why this database cannot keep what an answer promises; empty when it can. */
export async function findDurabilityFaults(database: Database): Promise<DurabilityFault[]> {
  const [settings] = await database.query<Settings>(
    "",
    `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as synchronous_commit,
       current_setting('full_page_writes') as full_page_writes, pg_is_in_recovery() as standby`,
  );
  if (settings === undefined) throw new Error("PostgreSQL does not tell its settings");
  const faults: DurabilityFault[] = [];
  const add = (text: string, mend: string): void => void faults.push({ text, mend });
  if (settings.fsync === "off")
    add("fsync is off in PostgreSQL: a power cut would lose what was acknowledged", "set fsync = on");
  if (settings.synchronous_commit === "off")
    add("synchronous_commit is off in PostgreSQL: a crash would lose what was acknowledged", "set it to on");
  if (settings.full_page_writes === "off")
    add("full_page_writes is off in PostgreSQL: a power cut could tear pages", "set it to on");
  if (settings.standby) add("this PostgreSQL is a read-only standby", "point GOLDSEAL_DATABASE_URL at the primary");
  return faults;
}
