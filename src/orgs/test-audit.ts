import type { Database } from "../storage/database.ts";

/** While `work` runs, no change can be put on record. */
export async function withoutRecord<T>(database: Database, work: () => Promise<T>): Promise<T> {
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

/** A fingerprint of each table but the record itself, and what the server notes of its own rounds at any time. */
export async function fingerprints(database: Database): Promise<Record<string, string>> {
  const names = await database.query<{ name: string }>(
    "",
    "select tablename as name from pg_tables where schemaname = 'public' and tablename !~ '^(audit_log|verdict_repositories$|verdicts$)'",
  );
  const prints = names.map(
    ({ name }) => `(select md5(string_agg(t::text, ' ' order by t::text)) from ${name} t) ${name}`,
  );
  const [row] = await database.query<Record<string, string>>("", `select ${prints.join(", ")}`);
  return row ?? {};
}

/** The routes of what is on record as done, but for sign-ins, in their order. */
export async function recorded(database: Database): Promise<string[]> {
  const text =
    "select detail ->> 'route' as route from audit_log where outcome = 'done' and action <> 'sign-in' order by id";
  return (await database.query<{ route: string }>("", text)).map(({ route }) => route);
}
