import { readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { processesOf } from "../processes.ts";
import type { Server } from "../servers.ts";

/** The server's own PostgreSQL, by the socket that its process names. Only what makes 100,000 rows at once goes there. */
export async function withDatabase<T>(server: Server, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    host: findSocketFolder(server),
    user: "goldseal",
    database: "goldseal",
    password: readFileSync(join(server.data, "postgres.password"), "utf8").trim(),
  });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function findSocketFolder(server: Server): string {
  for (const { pid, role } of processesOf(server.pid, server.kind)) {
    if (role !== "postgres") continue;
    const folder = /unix_socket_directories=([^\0]+)/.exec(readFileSync(`/proc/${pid}/cmdline`, "utf8"))?.[1];
    if (folder !== undefined) return folder;
  }
  throw new Error("no PostgreSQL was found among what the server started");
}
