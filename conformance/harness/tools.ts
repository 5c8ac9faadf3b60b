/** Finds and runs the programs that the suites need: those of `conformance/provision`, else those in PATH. */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Where conformance/provision keeps what it built; the same rule as in that script. */
export const cacheRoot =
  process.env.GOLDSEAL_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "goldseal");
export const cacheBin = join(cacheRoot, "bin");

/** Absolute path of a program, or undefined. The provisioned (pinned) one wins over the machine's. */
export function findTool(name: string): string | undefined {
  const folders = [cacheBin, ...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** @throws Error that names conformance/provision */
export function getTool(name: string): string {
  const path = findTool(name);
  if (!path) throw new Error(`${name} is not on this machine: run conformance/provision`);
  return path;
}

export const missingTools = (names: readonly string[]): string[] => names.filter((name) => !findTool(name));

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const KILL_SECONDS = 20;

export interface RunOptions {
  /** Variables on top of this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to stdin, which is then closed. */
  readonly input?: string | Uint8Array;
  /** Default 120. */
  readonly timeoutSeconds?: number;
  /** Called with each piece as it comes, stdout and stderr alike. */
  readonly onOutput?: (text: string) => void;
}

export interface RunResult {
  /** 128 when a signal (ours after the time-out, or another) ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. A program that runs too long is killed and reported as an error. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const seconds = options.timeoutSeconds ?? 120;
  const child = spawn(program, args, { cwd: options.cwd, env: { ...process.env, ...options.env } });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
      options.onOutput?.(chunk);
    });
  }
  const timer = setTimeout(() => {
    // Most end their own children on SIGTERM; what does not listen is ended for good.
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), KILL_SECONDS * 1000).unref();
    reject(new Error(`${commandLine(program, args)} ran over ${seconds} s\n${text.stdout}${text.stderr}`));
  }, seconds * 1000);
  child.once("error", reject);
  child.once("close", (status) => resolve({ status: status ?? 128, ...text }));
  // A program that ends without reading its input breaks the pipe; its exit status says what went wrong.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input);
  return promise.finally(() => clearTimeout(timer));
}

/**
 * Runs a program that has to succeed; returns its stdout.
 * @throws Error with all it printed when its exit status is not 0
 */
export async function mustRun(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await run(program, args, options);
  if (status !== 0) throw new Error(`${commandLine(program, args)} exited ${status}\n${stdout}${stderr}`.trimEnd());
  return stdout;
}

const commandLine = (program: string, args: readonly string[]): string =>
  [program.split("/").at(-1), ...args.map((arg) => (arg.length > 200 ? `${arg.slice(0, 200)}…` : arg))].join(" ");
