/** What every part shares: a server, people at machines of their own, and organizations from development to operations. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Dockerd } from "../clients/dockerd.ts";
import { freePort } from "../harness/port.ts";
import type { Credentials } from "../harness/registry-client.ts";
import type { Report } from "../harness/report.ts";
import { freshFolder, type RunningServer, startServer } from "../harness/server.ts";
import type { RunResult } from "../harness/tools.ts";
import { Machine } from "./machines.ts";

/** dan develops, quinn and quentin test, rita releases, oz runs what is released; mia is mentioned nowhere. */
const PEOPLE = ["dan", "quinn", "quentin", "rita", "oz", "mia"] as const;
type Name = (typeof PEOPLE)[number] | "admin";

export interface World {
  readonly report: Report;
  readonly server: RunningServer;
  /** `docker-20.10` or `docker-28`. */
  readonly docker: string;
  readonly people: Readonly<Record<Name, Machine>>;
  /** The same server, with a clock that is so far ahead of the machine's. */
  restartLater(seconds: number): Promise<void>;
  /** One more machine of the same person, with a folder of its own. */
  another(name: Name): Machine;
  close(): Promise<void>;
}

/** As administrators do it, by our own command line. */
const SETUP = `
org create dev
org create qa
org create ops
member add dev dan quinn
member add qa quinn quentin dan oz
member add ops rita oz
team create dev makers dan
team create qa testers quinn quentin
team create qa readers oz dan
team create ops release rita
team create ops runners oz
grant set dev/* makers read-write
grant set qa/* testers read-write --sign --promote --delete
grant set qa/* readers read-only
grant set ops/* release read-only --promote
grant set ops/* runners read-only`;

export async function openWorld(report: Report, dockerd: Dockerd, docker: string): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "goldseal-story-"));
  const data = freshFolder();
  // Trust data is for one address: it must be the same after a restart.
  const start = async (port: number, env: Readonly<Record<string, string>> = {}) =>
    startServer({ data, workers: 2, env: { GOLDSEAL_LISTEN: `127.0.0.1:${port}`, ...env } });
  // Nobody else gets the port by chance while the server is down.
  let server = await start(await freePort());
  const machines: Machine[] = [];
  const open = ({ name, password }: Credentials): Machine => {
    const machine = new Machine(
      { server, dockerd, docker, folder: join(folder, String(machines.length)) },
      { name, password },
    );
    machines.push(machine);
    return machine;
  };
  const credentials = (name: Name) => (name === "admin" ? server.admin : { name, password: `${name}'s password` });
  const close = async () => {
    for (const { direct } of machines) direct.close();
    const status = await server.stop();
    for (const path of [folder, data]) rmSync(path, { recursive: true, force: true });
    if (status !== 0) throw new Error(`the server exited ${status}:\n${server.output().slice(-4000)}`);
  };
  try {
    const all = ["admin" as const, ...PEOPLE].map((name) => [name, open(credentials(name))] as const);
    const people = Object.fromEntries(all) as Record<Name, Machine>;
    for (const name of PEOPLE) await people.admin.put(`users/${name}`, { password: credentials(name).password });
    for (const line of SETUP.trim().split("\n")) await must(people.admin.goldseal(line));
    const restartLater = async (seconds: number): Promise<void> => {
      await server.stop();
      const preload = `--import=${pathToFileURL(join(import.meta.dirname, "later.mjs"))}`;
      server = await start(server.port, { NODE_OPTIONS: preload, LATER_SECONDS: String(seconds) });
    };
    return { report, server, docker, people, restartLater, another: (name) => open(credentials(name)), close };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

/** What it printed. @throws Error unless it ended well, and printed what it should */
export async function must(running: Promise<RunResult>, printed?: RegExp): Promise<string> {
  const { status, stdout, stderr } = await running;
  const text = stdout + stderr;
  if (status !== 0) throw new Error(`it exited ${status}:\n${text}`);
  if (printed !== undefined && !printed.test(text)) throw new Error(`it did not print ${printed}:\n${text}`);
  return text;
}

/** What it printed. @throws Error unless it was refused in these words */
export async function mustFail(running: Promise<RunResult>, printed: RegExp): Promise<string> {
  const { status, stdout, stderr } = await running;
  const text = stdout + stderr;
  if (status === 0) throw new Error(`it was let through:\n${text}`);
  if (!printed.test(text)) throw new Error(`it did not print ${printed}:\n${text}`);
  return text;
}

/** Asks again and again until it is so. @throws Error after `seconds`, with what was there last */
export async function until<T>(what: string, seconds: number, look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
