import { join } from "node:path";
import type { Config } from "../config.ts";
import { findFile } from "./files.ts";

/** Of a database that runs: the embedded one runs while its server does. */
export async function findDatabaseUrl(
  { database, dataFolder }: Config,
  isServed: boolean,
): Promise<string | undefined> {
  if (database.kind === "external") return database.url.reveal();
  if (!isServed) return undefined;
  const cluster = (await findFile(join(dataFolder, "postgres.folder")))?.trim() ?? join(dataFolder, "postgres");
  const sockets = (await findFile(join(cluster, "postmaster.pid")))?.split("\n")[4];
  const password = (await findFile(join(dataFolder, "postgres.password")))?.trim();
  if (sockets === undefined || password === undefined) return undefined;
  return `postgres://goldseal:${password}@/goldseal?host=${encodeURIComponent(sockets)}`;
}
