import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { describeError, type Log } from "../../http/log.ts";
import type { Database } from "../../storage/database.ts";
import type { AuditLog } from "../audit-log.ts";
import type { Passwords } from "../passwords.ts";
import { Directory } from "./directory.ts";
import { type DirectoryConfig, parseDirectories } from "./directory-config.ts";
import { DirectorySignIn } from "./directory-sign-in.ts";
import { DirectoryStore, type LastSync } from "./directory-store.ts";
import { DirectorySync, isEmpty, type SyncDiff } from "./directory-sync.ts";

export interface DirectoriesOptions {
  /** What GOLDSEAL_LDAP names. */
  readonly file: string;
  readonly database: Database;
  readonly passwords: Passwords;
  readonly audit: AuditLog;
  readonly log: Log;
  readonly now: () => Date;
  /** How often it is looked which are due; default: twice a minute. */
  readonly lookEveryMs?: number;
}

export interface Directories {
  readonly signIn: DirectorySignIn;
  /** In the order of the file, each with its last sync. */
  list(): Promise<{ readonly config: DirectoryConfig; readonly lastSync: LastSync | undefined }[]>;
  /** Undefined when there is no directory of that name. */
  sync(name: string, options: { readonly dryRun: boolean }): Promise<SyncDiff | undefined>;
  /** Those that are due and that no other process syncs; a failure is on record and in the log. */
  syncDue(): Promise<void>;
  close(): Promise<void>;
}

/** Reads and checks the file and everything that it names. @throws Error with every mistake, one a line */
export async function readDirectories(file: string): Promise<Directory[]> {
  const configs = parseDirectories(await readText(file, "GOLDSEAL_LDAP"), file);
  const read = await Promise.allSettled(configs.map((config) => openOne(config, file)));
  const mistakes = read.flatMap((result) => (result.status === "rejected" ? [String(result.reason.message)] : []));
  if (mistakes.length > 0) throw new Error(mistakes.join("\n"));
  return read.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

/** Sign-in by directories, and their syncs: each is looked at twice a minute and done by one process when it is due. */
export async function openDirectories(options: DirectoriesOptions): Promise<Directories> {
  const { file, database, passwords, log, now, lookEveryMs = 30_000 } = options;
  const directories = await readDirectories(file);
  const store = new DirectoryStore(database);
  const sync = new DirectorySync(store, now);
  const run = async (directory: Directory, dryRun: boolean): Promise<SyncDiff> => {
    const diff = await sync.run(directory, { dryRun });
    if (!dryRun) await putOnRecord(options, diff);
    return diff;
  };
  const runAndNote = async (directory: Directory, startedAt: Date): Promise<SyncDiff> => {
    const end = (outcome: string) => store.endSync(directory.config.name, { startedAt, endedAt: now(), outcome });
    const diff = await run(directory, false).catch(async (error: unknown) => {
      await end(error instanceof Error ? error.message : String(error));
      throw error;
    });
    await end("done");
    return diff;
  };
  const syncDue = async (): Promise<void> => {
    for (const directory of directories) {
      const { name, syncMinutes } = directory.config;
      const startedAt = now();
      if (!(await store.claimSync(name, startedAt, syncMinutes))) continue;
      await runAndNote(directory, startedAt).catch((error: unknown) =>
        log.error("directory.sync-failed", { directory: name, ...describeError(error) }),
      );
    }
  };
  let running = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(syncDue).catch((error: unknown) => log.error("directory.sync-failed", describeError(error)));
  }, lookEveryMs);
  return {
    signIn: new DirectorySignIn({
      ...{ directories, store, passwords, log, now },
      joinTeams: async (directory, user, entry) => putOnRecord(options, await sync.joinTeams(directory, user, entry)),
    }),
    list: async () => {
      const syncs = await store.listSyncs();
      return directories.map(({ config }) => ({ config, lastSync: syncs.get(config.name) }));
    },
    sync: async (name, { dryRun }) => {
      const directory = directories.find(({ config }) => config.name === name);
      if (directory === undefined) return undefined;
      return dryRun ? run(directory, true) : runAndNote(directory, now());
    },
    syncDue,
    close: async () => {
      clearInterval(timer);
      await running;
    },
  };
}

async function openOne(config: DirectoryConfig, file: string): Promise<Directory> {
  const at = (path: string) => resolve(dirname(file), path);
  const what = `GOLDSEAL_LDAP: directory ${config.name}`;
  const bindPassword = await readText(at(config.bindPasswordFile), `${what}: bindPasswordFile`);
  const ca = config.ca === undefined ? undefined : await readText(at(config.ca), `${what}: ca`);
  return new Directory(config, { bindPassword: bindPassword.replace(/\r?\n$/, ""), ca });
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`${what}: cannot read ${path}`, { cause });
  }
}

/** A sync that changed nothing leaves nothing on record. */
async function putOnRecord({ audit, now }: DirectoriesOptions, diff: SyncDiff): Promise<void> {
  if (isEmpty(diff)) return;
  const { directory, ...detail } = diff;
  await audit.record({
    at: now(),
    ...{ actor: `directory ${directory}`, actorId: 0, action: "directory-change", target: `directories/${directory}` },
    ...{ namespace: "", outcome: "done", source: "", requestId: "", decisionId: undefined },
    detail: {
      ...detail,
      teams: detail.teams.map((team) => ({ ...team })),
      owners: detail.owners.map((owners) => ({ ...owners })),
    },
  });
}
