/** SQL beside the server, for what HTTP does not show. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, type ClientConfig, type QueryResultRow } from "pg";
import { findSocketFolder } from "./processes.ts";

/** The PostgreSQL that the server of this data folder has started. */
export function embeddedDatabase(data: string): ClientConfig {
  return {
    host: findSocketFolder(data),
    user: "goldseal",
    database: "goldseal",
    password: readFileSync(join(data, "postgres.password"), "utf8").trim(),
  };
}

export async function query<R extends QueryResultRow>(database: ClientConfig, text: string): Promise<R[]> {
  const client = new Client(database);
  // It may be killed meanwhile.
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}
