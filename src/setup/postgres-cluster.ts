import { spawn } from "node:child_process";
import { chown, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { SetupError } from "./errors.ts";
import { findFile, syncFolder, writeDurably } from "./files.ts";
import { isCluster, type Place } from "./postgres-place.ts";

/** Environment of every PostgreSQL program: nothing of ours, no locale but C. */
export const POSTGRES_ENV = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/**
 * Makes the database cluster unless it is there. It is made beside its place and renamed when complete, so one that a
 * crash cut short is never taken for a database.
 * @throws SetupError
 */
export async function openCluster(place: Place, signal: AbortSignal): Promise<void> {
  if (await isCluster(place.cluster)) return checkVersion(place);
  await removeDrafts(place.cluster);
  // A name of its own each time: an initdb that outlived its primary may still write into the last one.
  const draft = await mkdtemp(`${place.cluster}.draft-`);
  const passwordFile = `${draft}.password`;
  await writeDurably(passwordFile, place.password, 0o600);
  try {
    if (place.user) for (const path of [draft, passwordFile]) await chown(path, place.user.uid, place.user.gid);
    const options = ["--username=goldseal", "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
    await run(place, { program: "initdb", args: ["-D", draft, ...options, "--encoding=UTF8", "--locale=C"], signal });
    const database = "CREATE DATABASE goldseal TEMPLATE template0;\n";
    await run(place, {
      program: "postgres",
      args: ["--single", "-j", "-D", draft, "postgres"],
      input: database,
      signal,
    });
  } finally {
    await rm(passwordFile, { force: true });
  }
  await rename(draft, place.cluster);
  await syncFolder(dirname(place.cluster));
}

/** What first starts that were cut short have left beside the cluster's place. */
async function removeDrafts(cluster: string): Promise<void> {
  for (const name of await readdir(dirname(cluster))) {
    if (!name.startsWith(`${basename(cluster)}.draft-`)) continue;
    await rm(join(dirname(cluster), name), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }
}

async function checkVersion(place: Place): Promise<void> {
  const cluster = (await findFile(join(place.cluster, "PG_VERSION")))?.trim();
  const program = await run(place, { program: "postgres", args: ["--version"], signal: AbortSignal.timeout(10_000) });
  const version = /(\d+)(\.|beta|rc|devel)/.exec(program)?.[1];
  if (cluster !== version) {
    throw new SetupError(
      `the database in ${place.cluster} was made by PostgreSQL ${cluster}, this release brings ${version}: ` +
        "start the release that made it, or dump and load the data",
    );
  }
}

/** Runs one PostgreSQL program to its end. @throws SetupError with what it said */
async function run(
  place: Place,
  job: { program: string; args: readonly string[]; input?: string; signal: AbortSignal },
): Promise<string> {
  const child = spawn(join(place.binaries, "bin", job.program), job.args, {
    ...place.user,
    cwd: "/",
    env: POSTGRES_ENV,
    signal: job.signal,
    killSignal: "SIGKILL",
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  child.stdin.on("error", () => undefined); // it may end without reading; its status tells
  child.stdin.end(job.input ?? "");
  const status = await new Promise((done, fail) => child.on("error", fail).on("close", done));
  if (status !== 0) throw new SetupError(`${job.program} failed (status ${status}):\n${said.trim()}`);
  return said;
}
