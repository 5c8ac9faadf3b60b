import { afterAll, beforeAll, expect } from "vitest";
import type { Database } from "../storage/database.ts";
import { openTestApp, type TestApp } from "../testing/open-test-app.ts";
import { withoutRecord } from "../testing/without-record.ts";

/** For every test of a file: a server with an organization `lab`. */
export function useAuditedApp() {
  let app: TestApp;
  beforeAll(async () => {
    app = await openTestApp();
    await app.addOrg("lab");
  });
  afterAll(async () => {
    expect(app.errors()).toEqual([]);
    await app[Symbol.asyncDispose]();
  });

  /** A change, and that it was made, are there together or not at all. */
  async function mustBeOne(route: string, send: () => Promise<{ status: number; body: Buffer }>): Promise<void> {
    const { database } = app;
    const before = [await fingerprints(database), await recorded(database)];
    const failed = await withoutRecord(database, send);
    const between = [await fingerprints(database), await recorded(database)];
    const done = await send();
    const after = await recorded(database);

    expect([route, failed.status]).toEqual([route, 507]);
    expect(between).toEqual(before);
    expect([route, done.status < 300 ? "done" : done.body.toString()]).toEqual([route, "done"]);
    expect(after).toEqual([...(before[1] as string[]), route]);
  }

  return { app: () => app, mustBeOne };
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
