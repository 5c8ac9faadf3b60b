import { realpath } from "node:fs/promises";
import { messageOf, SetupError } from "./errors.ts";
import { lockFolder } from "./lock.ts";
import { hasDatabase } from "./postgres-place.ts";
import { openDatabase, type PrimaryParts } from "./primary.ts";

export interface AdminPasswordParts extends Pick<PrimaryParts, "config" | "log" | "say"> {
  /** Answers the new password. */
  resetAdmin(databaseUrl: string): Promise<string>;
}

/**
 * `goldseal admin-password`: a way back in for whoever holds the data folder or the database's password. The embedded
 * PostgreSQL belongs to the server that started it, so that one must be stopped; an external database may be in use.
 * @throws SetupError while a server works in the data folder
 */
export async function resetAdminPassword({ resetAdmin, ...parts }: AdminPasswordParts): Promise<string> {
  await using undo = new AsyncDisposableStack();
  const dataFolder = parts.config.database.kind === "external" ? "" : await openOwnFolder(parts.config.dataFolder);
  if (dataFolder !== "") undo.use(await lockFolder(dataFolder));
  const { signal } = new AbortController();
  return await resetAdmin(await openDatabase(parts, { dataFolder, signal, undo }));
}

/** A folder that is none of ours must not get a database by this. */
async function openOwnFolder(folder: string): Promise<string> {
  const found = await realpath(folder).catch((cause: unknown) => {
    throw new SetupError(`cannot use the data folder ${folder} (GOLDSEAL_DATA): ${messageOf(cause)}`, { cause });
  });
  if (await hasDatabase(found)) return found;
  throw new SetupError(`${found} holds no database: set GOLDSEAL_DATA to the data folder of the server`);
}
