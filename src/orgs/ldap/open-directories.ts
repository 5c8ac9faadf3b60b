import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { describeError, type Log } from "../../http/log.ts";
import type { Database } from "../../storage/database.ts";
import type { AuditLog } from "../audit-log.ts";
import type { Passwords } from "../passwords.ts";
import { Directory } from "./directory.ts";
import { type DirectoryConfig, parseDirectories } from "./directory-config.ts";
import { DirectorySignIn } from "./directory-sign-in.ts";
import { DirectoryStore } from "./directory-store.ts";
import { DirectorySync, isEmpty, type SyncDiff } from "./directory-sync.ts";

export interface DirectoriesOptions {
  /** What GOLDSEAL_LDAP names. */
  readonly file: string;
  readonly database: Database;
  readonly passwords: Passwords;
  readonly audit: AuditLog;
  readonly log: Log;
  readonly now: () => Date;
}

export interface Directories {
  readonly signIn: DirectorySignIn;
  readonly configs: readonly DirectoryConfig[];
  /** Undefined when there is no directory of that name. */
  sync(name: string, options: { readonly dryRun: boolean }): Promise<SyncDiff | undefined>;
  close(): Promise<void>;
}

const lookEveryMs = 30_000;

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
  const { file, database, passwords, log, now } = options;
  const directories = await readDirectories(file);
  const store = new DirectoryStore(database);
  const sync = new DirectorySync(store, now);
  const run = async (directory: Directory, dryRun: boolean): Promise<SyncDiff> => {
    const diff = await sync.run(directory, { dryRun });
    if (!dryRun) await putOnRecord(options, diff);
    return diff;
  };
  const runDue = async (): Promise<void> => {
    for (const directory of directories) {
      const { name, syncMinutes } = directory.config;
      if (!(await store.claimSync(name, now(), syncMinutes))) continue;
      const outcome = await run(directory, false).then(
        () => "done",
        (error: unknown) => {
          log.error("directory.sync-failed", { directory: name, ...describeError(error) });
          return error instanceof Error ? error.message : String(error);
        },
      );
      await store.endSync(name, now(), outcome);
    }
  };
  let running = Promise.resolve();
  const timer = setInterval(() => {
    running = running.then(runDue).catch((error: unknown) => log.error("directory.sync-failed", describeError(error)));
  }, lookEveryMs);
  return {
    signIn: new DirectorySignIn({
      ...{ directories, store, passwords, log, now },
      joinTeams: (directory, userId, entry) => sync.joinTeams(directory, userId, entry),
    }),
    configs: directories.map(({ config }) => config),
    sync: async (name, { dryRun }) => {
      const directory = directories.find(({ config }) => config.name === name);
      if (directory === undefined) return undefined;
      const diff = await run(directory, dryRun);
      if (!dryRun) await store.endSync(name, now(), "done");
      return diff;
    },
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
