import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { type Confirm, Database } from "./database.ts";
import { templateName, testDatabaseUrl } from "./test-postgres.ts";

export interface TestDatabase {
  readonly database: Database;
  readonly url: string;
  /** Closes `database` and drops it on the server, whoever else is still connected. */
  close(): Promise<void>;
}

/** For changes that nobody has to be allowed, and that no record is kept of. */
export const unconfirmed: Confirm = async () => undefined;

/** An empty, migrated database of its own in the test server: a clone of the template. */
export async function openTestDatabase(): Promise<TestDatabase> {
  const sockets = inject("postgresSockets");
  const name = `test_${randomBytes(8).toString("hex")}`;
  await onServer(sockets, `create database ${name} template ${templateName}`);
  const url = testDatabaseUrl(sockets, name);
  const database = new Database({ url });
  return {
    database,
    url,
    close: async () => {
      await database.close();
      await onServer(sockets, `drop database ${name} with (force)`);
    },
  };
}

async function onServer(sockets: string, statement: string): Promise<void> {
  const server = new Database({ url: testDatabaseUrl(sockets, "postgres"), maxConnections: 1 });
  try {
    await server.query("", statement);
  } finally {
    await server.close();
  }
}
