// For tests: a real `goldseal start` in a folder of its own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, realpath, rm } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

export async function newFolder(): Promise<string> {
  return realpath(await mkdtemp(join(tmpdir(), "goldseal-test-")));
}

export interface ServerProcess extends AsyncDisposable {
  readonly pid: number;
  /** What it said so far. */
  readonly output: () => string;
  readonly errors: () => string;
  /** The origin of its ready line; fails when it ends without one. */
  ready(): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** Closes our ends of its pipes. */
  stopReading(): void;
  /** Its exit status or signal. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

export interface StartOptions {
  readonly data: string;
  readonly root?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs main.ts by this very Node; the start script has its own tests. */
export function startServer({ data, root = ROOT, args = ["start"], env = {} }: StartOptions): ServerProcess {
  const child = spawn(process.execPath, [join(root, "src", "main.ts"), ...args], {
    cwd: data,
    env: {
      PATH: process.env.PATH,
      GOLDSEAL_DATA: data,
      GOLDSEAL_LISTEN: "127.0.0.1:0",
      GOLDSEAL_WORKERS: "2",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return wrap(child);
}

export function wrap(child: ChildProcess): ServerProcess {
  let output = "";
  let errors = "";
  const ended = once(child, "close").then(([code, signal]) => code ?? signal);
  const ready = new Promise<string>((done, fail) => {
    if (child.stdout === null) throw new Error("no pipe");
    createInterface(child.stdout).on("line", (line) => {
      output += `${line}\n`;
      if (line.startsWith("ready ")) done(line.slice("ready ".length));
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      errors += text;
    });
    ended.then((status) => fail(new Error(`ended with ${status}: ${errors}`)), fail);
  });
  ready.catch(() => undefined); // only those who ask for it care
  return {
    pid: child.pid ?? 0,
    output: () => output,
    errors: () => errors,
    ready: () => ready,
    kill: (signal) => child.kill(signal),
    stopReading: () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    },
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** GET over TLS, trusting only the installation's CA. */
export async function get(url: string, caFile: string): Promise<Reply> {
  const ca = await readFile(caFile);
  return new Promise((done, fail) => {
    request(url, { ca, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => done({ status: response.statusCode ?? 0, body }));
    })
      .on("error", fail)
      .end();
  });
}

/** Asks until it holds: for what another process does in its own time. */
export async function eventually(holds: () => Promise<boolean> | boolean, what: string): Promise<void> {
  for (const until = Date.now() + 60_000; Date.now() < until; await pause(20)) {
    if (await holds()) return;
  }
  throw new Error(`did not happen: ${what}`);
}

/** The processes whose command line or parent says they belong to `data` or to `parent`. */
export async function processesOf(match: { data: string } | { parent: number }): Promise<number[]> {
  const found: number[] = [];
  for (const name of (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry))) {
    const [line, status] = await Promise.all(
      ["cmdline", "stat"].map((file) => readFile(`/proc/${name}/${file}`, "utf8").catch(() => "")),
    );
    const parent = Number(status?.replace(/^.*\) /, "").split(" ")[1]);
    if ("data" in match ? line?.includes(match.data) : parent === match.parent) found.push(Number(name));
  }
  return found;
}

export async function postmasterOf(data: string): Promise<number> {
  return Number((await readFile(join(data, "postgres", "postmaster.pid"), "utf8")).split("\n")[0]);
}

/** A data folder that had its first start: copied, since making one anew takes a second. */
export async function copyFolder(from: string): Promise<string> {
  const folder = await newFolder();
  execFileSync("cp", ["-a", `${from}/.`, folder]);
  return folder;
}

export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** Whether `/readyz` says yes, over TLS by the CA of the data folder. */
export async function isServing(data: string, origin: string): Promise<boolean> {
  const reply = await get(`${origin}/readyz`, join(data, "ca.crt")).catch(() => undefined); // refused: not yet
  return reply?.status === 200;
}
