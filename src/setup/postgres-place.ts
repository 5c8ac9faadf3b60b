import { createHash, randomBytes } from "node:crypto";
import { chmod, chown, constants, cp, lstat, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { SetupError } from "./errors.ts";
import { findFile, writeDurably } from "./files.ts";

/** Where a root start keeps what `nobody` must reach but cannot in the data folder or the checkout. */
const SYSTEM_FOLDER = "/var/lib/goldseal";
/** sun_path is 108 bytes with its NUL; PostgreSQL adds "/.s.PGSQL.5432" and ".lock" beside it. */
const MAX_SOCKET_FOLDER_BYTES = 107 - "/.s.PGSQL.5432".length;

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Where the embedded PostgreSQL of one data folder lives, and as whom it runs. */
export interface Place {
  /** Set when we are root, whom PostgreSQL refuses: `nobody`. */
  readonly user?: User;
  /** The folder with bin/, lib/ and share/. */
  readonly binaries: string;
  readonly cluster: string;
  readonly sockets: string;
  readonly logFile: string;
  readonly password: string;
}

/**
 * Finds or makes the place. Root's `nobody` must be able to pass every folder above binaries and cluster; where it
 * cannot, they go to /var/lib/goldseal/<sha256 of the data path>, and the data folder remembers that.
 * @throws SetupError
 */
export async function openPlace(dataFolder: string, packageFolder: string): Promise<Place> {
  const user = process.getuid?.() === 0 ? await findNobody() : undefined;
  const password = await openPassword(join(dataFolder, "postgres.password"));
  const home = join(SYSTEM_FOLDER, createHash("sha256").update(dataFolder).digest("hex"));
  const binaries = await openBinaries({ user, packageFolder, home });
  const cluster = await chooseCluster({ user, dataFolder, home, password });
  const sockets = await openSocketFolder({ user, dataFolder, home });
  return { ...(user && { user }), binaries, cluster, sockets, logFile: join(dataFolder, "postgres.log"), password };
}

export async function isCluster(folder: string): Promise<boolean> {
  return (await findFile(join(folder, "PG_VERSION"))) !== undefined;
}

/** Remembers a cluster outside the data folder: when it is gone, a start must not make an empty one in its place. */
export async function rememberCluster(dataFolder: string, cluster: string): Promise<void> {
  if (dirname(cluster) !== dataFolder) await writeDurably(join(dataFolder, "postgres.folder"), `${cluster}\n`, 0o644);
}

/** True when this data folder has had a database: then its keys must not be made anew. */
export async function hasDatabase(dataFolder: string): Promise<boolean> {
  const remembered = await findFile(join(dataFolder, "postgres.folder"));
  return remembered !== undefined || (await isCluster(join(dataFolder, "postgres")));
}

async function openPassword(file: string): Promise<string> {
  const kept = (await findFile(file))?.trim();
  if (kept) return kept;
  const made = randomBytes(24).toString("hex");
  await writeDurably(file, `${made}\n`, 0o600);
  return made;
}

async function openBinaries(of: { user: User | undefined; packageFolder: string; home: string }): Promise<string> {
  const native = join(of.packageFolder, "native");
  const probe = join(native, "share", "postgresql", "postgres.bki");
  if (
    of.user === undefined ||
    ((await canPass(of.user, probe)) && (await canPass(of.user, join(native, "bin", "postgres"))))
  ) {
    return native;
  }
  const about = (await findFile(join(of.packageFolder, "package.json"))) ?? "";
  const version = /"version":\s*"([\w.-]+)"/.exec(about)?.[1] ?? "unknown";
  const copy = join(of.home, `postgres-${version}`);
  if ((await findFile(join(copy, "pg-symlinks.json"))) !== undefined) return copy;
  await openHome(of.home);
  const draft = `${copy}.tmp`;
  await rm(draft, { recursive: true, force: true });
  const isNeeded = (path: string): boolean => !path.endsWith(".a");
  await cp(native, draft, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
    filter: isNeeded,
  });
  await openToAll(draft);
  await rename(draft, copy);
  return copy;
}

/** The checkout may have been made under a umask that shuts others out. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory() || basename(entry.parentPath) === "bin") await chmod(path, 0o755);
    else if (entry.isFile()) await chmod(path, 0o644);
  }
}

async function chooseCluster(of: {
  user: User | undefined;
  dataFolder: string;
  home: string;
  password: string;
}): Promise<string> {
  const remembered = (await findFile(join(of.dataFolder, "postgres.folder")))?.trim();
  if (remembered !== undefined) {
    if (await isCluster(remembered)) return remembered;
    throw new SetupError(
      `the database of ${of.dataFolder} was in ${remembered} and is gone: put it back, or start with an empty GOLDSEAL_DATA`,
    );
  }
  const inside = join(of.dataFolder, "postgres");
  if (of.user === undefined || (await canPass(of.user, of.dataFolder))) return inside;
  if (await isCluster(inside)) {
    throw new SetupError(
      `PostgreSQL runs as nobody, who cannot reach ${inside}: allow passing the folders above it (chmod o+x), ` +
        "or move GOLDSEAL_DATA",
    );
  }
  await setAsideForeign(of);
  return join(of.home, "postgres");
}

/** A cluster left there by a data folder that was since removed is not ours: its rows speak of other blobs. */
async function setAsideForeign({ home, password, dataFolder }: { home: string; password: string; dataFolder: string }) {
  const mark = createHash("sha256").update(password).digest("hex");
  const owner = join(home, "owner");
  if ((await findFile(owner))?.split("\n")[0] === mark) return;
  await openHome(home);
  const cluster = join(home, "postgres");
  if (await isCluster(cluster)) await rename(cluster, `${cluster}.removed-${Date.now()}`);
  await writeDurably(owner, `${mark}\n${dataFolder}\n`, 0o600);
}

async function openSocketFolder(of: { user: User | undefined; dataFolder: string; home: string }): Promise<string> {
  const short = `goldseal-${process.getuid?.() ?? 0}-${basename(of.home).slice(0, 16)}`;
  const isReachable = of.user === undefined || (await canPass(of.user, of.dataFolder));
  const candidates = [
    isReachable ? join(of.dataFolder, "run") : join(of.home, "run"),
    join(tmpdir(), short),
    join("/tmp", short),
  ];
  const folder = candidates.find((path) => Buffer.byteLength(path) <= MAX_SOCKET_FOLDER_BYTES) ?? join("/tmp", short);
  const owner = of.user ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  await mkdir(folder, { mode: 0o700 }).then(
    () => chown(folder, owner.uid, owner.gid),
    () => undefined, // there already: judged below
  );
  const found = await lstat(folder);
  // In /tmp anybody could have made it first.
  if (!found.isDirectory() || (found.uid !== owner.uid && found.uid !== process.getuid?.())) {
    throw new SetupError(`${folder} belongs to somebody else: remove it, or use a shorter path for GOLDSEAL_DATA`);
  }
  await chown(folder, owner.uid, owner.gid);
  await chmod(folder, 0o700);
  return folder;
}

/** Others may pass but not list, whatever the umask says. */
async function openHome(home: string): Promise<void> {
  for (const folder of [dirname(home), home]) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o711);
  }
}

/** Whether `user` may pass every folder above `path` and read or enter it, by the permission bits. */
async function canPass(user: User, path: string): Promise<boolean> {
  for (let current = path; ; current = dirname(current)) {
    const found = await stat(current);
    const shift = found.uid === user.uid ? 6 : found.gid === user.gid ? 3 : 0;
    const needed = found.isDirectory() ? 0o1 : 0o4;
    if (((found.mode >> shift) & needed) === 0) return false;
    if (current === dirname(current)) return true;
  }
}

async function findNobody(): Promise<User> {
  const line = (await findFile("/etc/passwd"))?.split("\n").find((entry) => entry.startsWith("nobody:"));
  const [uid, gid] = (line?.split(":") ?? []).slice(2, 4).map(Number);
  if (!uid || !gid) {
    throw new SetupError(
      "PostgreSQL refuses to run as root and there is no user nobody: start Goldseal as another user",
    );
  }
  return { uid, gid };
}
