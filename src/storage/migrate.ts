import { readdir, readFile } from "node:fs/promises";
import type { Database } from "./database.ts";

const folder = new URL("./migrations/", import.meta.url);

/**
 * Applies the numbered files of `migrations/` that this database has not had, each in one transaction; several
 * processes may start at once. Returns the names applied.
 */
export async function migrate(database: Database): Promise<string[]> {
  const files = await listFiles();
  await database.transaction(async (sql) => {
    // "if not exists" alone fails when two processes find it missing at the same moment.
    await sql.query("", "select pg_advisory_xact_lock(hashtext('schema_migrations'))");
    await sql.query(
      "",
      "create table if not exists schema_migrations (name text primary key, applied_at timestamptz not null default now())",
    );
  });
  const applied: string[] = [];
  for (const name of files) {
    const text = await readFile(new URL(name, folder), "utf8");
    if (await apply(database, name, text)) applied.push(name);
  }
  return applied;
}

/** Names that this database has not had: all of them before the first start. Changes nothing. */
export async function listPending(database: Database): Promise<string[]> {
  const files = await listFiles();
  const [table] = await database.query<{ made: boolean }>(
    "",
    "select to_regclass('schema_migrations') is not null as made",
  );
  if (!table?.made) return files;
  const applied = await database.query<{ name: string }>("", "select name from schema_migrations");
  const had = new Set(applied.map(({ name }) => name));
  return files.filter((name) => !had.has(name));
}

async function listFiles(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => /^\d{4}_.+\.sql$/.test(name)).sort();
}

function apply(database: Database, name: string, text: string): Promise<boolean> {
  return database.transaction(async (sql) => {
    await sql.query("", "lock table schema_migrations in exclusive mode");
    const done = await sql.query("", "select 1 from schema_migrations where name = $1", [name]);
    if (done.length > 0) return false;
    await sql.query("", text);
    await sql.query("", "insert into schema_migrations (name) values ($1)", [name]);
    return true;
  });
}
