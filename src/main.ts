import { spawn } from "node:child_process";
import cluster from "node:cluster";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Config } from "./config.ts";

const HELP = `Goldseal: an OCI image registry with signing.

usage: npm start [-- options]       or: npm run goldseal -- <command> [options]

commands
  start (serve)   start the registry; prints "ready https://host:port" when it takes connections
  bridge          start the bridge alone: deploys onto the Swarm what the right people signed
  authz-plugin    start a manager's authorization plug-in: nothing starts there but by the bridge
  admin-password  give the user admin a new password and print it, once: on the server's machine, with its settings
  doctor          say what is wrong with this set-up, and how to mend it
  login, logout   sign in to a running registry once, for all commands below
  user            add, list, password, roles, suspend, resume, delete: who may sign in
  org, member     organizations and their people
  team, grant     teams, and what they may do in which repositories
  repository      list, show, create, visibility, rename, delete, grants
  robot, token    what programs sign in with: accounts of an organization, personal tokens
  key             list, add, prove, remove, who: the keys that people sign with
  token-keys      rotate: sign tokens with a new key
  trust           init, sign, revoke, verify, inspect: sign images, and see who signed them
  auto-sign       set, list, delete: tags that the server signs as part of their push
  policies        list, show, set, remove, verdict: who must have signed what is pulled or promoted
  policy          draft, sign, push, show, diff: the signed document that bridges obey
  promote, approve, promotions, history
                  the same image into the next repository, with approvals; what happened to it everywhere
  deploy, rollback, services
                  run a signed image on the cluster, go back to what ran before, remove a service
  break-glass     draft, sign: let one image run that people have not signed
  trust-keys      list, rotate: keys that the server signs trust data with
  keyring         reseal: seal everything with the first key of the master key file
  directory       list, sync: the directories (LDAP) that users sign in by
  gc              collect garbage now; --dry-run only lists it
  fsck            look for rows without bytes, bytes without rows, and damaged bytes
  audit           search, export: who did what, and who was refused what
  why             why something was refused, or what rule lets somebody do something
  completion      bash: complete all of this
                  (each explains itself: npm run goldseal -- team --help)

options
  --config FILE   read FILE instead of ./goldseal.yaml (same names as the variables below, the environment wins)
  --help          this text

environment
  GOLDSEAL_LISTEN             127.0.0.1:5443    host:port; port 0 picks one
  GOLDSEAL_PUBLIC_URL         https://host:port what clients use: part of image names and tokens
  GOLDSEAL_DATA               ./data            database, blobs, CA, master key
  GOLDSEAL_TLS                auto              auto (own CA), off (behind a proxy), or cert.pem,key.pem
  GOLDSEAL_TRUSTED_PROXIES    none              addresses and networks of proxies whose X-Forwarded-For is believed
  GOLDSEAL_ADMIN_PASSWORD     generated         password of the user admin, first start only
  GOLDSEAL_DATABASE_URL       embedded          postgres://user:password@host:port/database
  GOLDSEAL_BLOBS              fs:<data>/blobs   where blobs are kept; or s3://<bucket>/<prefix>?endpoint=<url>&region=<name>
  GOLDSEAL_BLOB_REDIRECT      off               off, on, or networks: who pulls layers from the bucket itself
  GOLDSEAL_MASTER_KEY_FILE    <data>/master.key key ring: one "id base64" per line, the first seals
  GOLDSEAL_AUTH_CHALLENGE     bearer            bearer or basic
  GOLDSEAL_WORKERS            number of cores   worker processes
  GOLDSEAL_TOKEN_TTL_SECONDS  300               60 to 300
  GOLDSEAL_UPLOAD_TTL_HOURS   24                how long an upload lives without progress
  GOLDSEAL_GC_EVERY_MINUTES   60                how often garbage is collected, or off
  GOLDSEAL_GC_GRACE_HOURS     24                how long bytes stay that no manifest needs
  GOLDSEAL_GC_UNTAGGED_HOURS  168               how long manifests stay that no tag leads to, or off: for ever
  GOLDSEAL_DELETE             on                on or off: whether anything can be deleted
  GOLDSEAL_ANONYMOUS          on                on or off: pull of public repositories without login
  GOLDSEAL_TRUST_KEYS         ed25519           ed25519 or ecdsa: new keys that the server signs trust data with
  GOLDSEAL_LDAP               none              file that describes directories (LDAP) users sign in by
  GOLDSEAL_LOG_LEVEL          info              info, warn, error or off
  GOLDSEAL_BRIDGE_CONFIG      none              file that describes the bridge to a Swarm; start starts it too
  GOLDSEAL_AUTHZ_KEYS         none              authz-plugin: PEM files of the bridge's public keys
  GOLDSEAL_AUTHZ_SOCKET       /run/docker/plugins/goldseal.sock
                                                authz-plugin: where the engine looks for it
  GOLDSEAL_BRIDGE_URL         none              where a bridge listens: orders and questions about the cluster go there
  GOLDSEAL_BRIDGE_CA_FILE     well-known CAs    its CA
  GOLDSEAL_BRIDGE_SECRET_FILE none              what it believes who looks by; without it nobody is shown the cluster
  GOLDSEAL_BRIDGE_ACCOUNT     none              user that the bridge to a Swarm signs in as
`;

/** What needs the server's own settings; all else goes over the public API. */
const LOCAL: ReadonlyMap<string, (sources: Sources) => Promise<number>> = new Map([
  ["start", serve],
  ["serve", serve],
  ["bridge", bridge],
  ["authz-plugin", authzPlugin],
  ["doctor", doctor],
  ["admin-password", adminPassword],
]);

// A reader that goes away (npm start | head) must not take the server with it.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

if (cluster.isWorker) await work();
else process.exitCode = await main(process.argv.slice(2));

/** Answers the exit status: 0 done, 1 failed, 2 wrong use. */
async function main(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  const act = LOCAL.get(command ?? "");
  if (command === undefined || isHelp(command) || (act !== undefined && rest.some(isHelp))) {
    process.stdout.write(HELP);
    return command === undefined ? 2 : 0;
  }
  if (act !== undefined) return withConfig(rest, act);
  const { runCli } = await import("./cli/main.ts");
  return runCli(args, process.env, process);
}

function isHelp(word: string): boolean {
  return word === "help" || word === "--help" || word === "-h";
}

type Sources = { readonly env: NodeJS.ProcessEnv; readonly yamlText?: string };

async function withConfig(args: string[], act: (sources: Sources) => Promise<number>): Promise<number> {
  try {
    const { values } = parseArgs({ args, options: { config: { type: "string" } }, strict: true });
    const yamlText = await readConfigFile(values.config);
    return await act({ env: process.env, ...(yamlText !== undefined && { yamlText }) });
  } catch (error) {
    const { message } = error instanceof Error ? error : { message: String(error) };
    complain(
      isArgumentError(error) ? `${message}\nsettings are environment variables; see npm start -- --help` : message,
    );
    return isMisuse(error) ? 2 : 1;
  }
}

function isArgumentError(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS");
}

/** Wrong settings or arguments, as against something that failed. */
function isMisuse(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === "ConfigError" || isArgumentError(error) || ("code" in error && error.code === "ENOENT");
}

/** `./goldseal.yaml` may be absent; a file that was named may not. */
async function readConfigFile(file: string | undefined): Promise<string | undefined> {
  try {
    return await readFile(file ?? "goldseal.yaml", "utf8");
  } catch (error) {
    const isAbsent = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (isAbsent && file === undefined) return undefined;
    throw error;
  }
}

async function serve(sources: Sources): Promise<number> {
  const [config, { serveUntilStopped }, { prepareBlobs, prepareDatabase }, { createLog, flushLog }] = await Promise.all(
    [readConfig(sources), import("./setup/serve.ts"), import("./prepare.ts"), import("./http/log.ts")],
  );
  process.on("exit", flushLog);
  const workerFile = fileURLToPath(import.meta.url);
  const log = createLog({ level: config.logLevel });
  const whenReady = config.bridgeConfigFile === undefined ? undefined : keepBridge;
  return serveUntilStopped({ config, workerFile, log, prepareBlobs, prepareDatabase, ...(whenReady && { whenReady }) });
}

/** How long after its end the bridge is started again. */
const BRIDGE_PAUSE_MS = 5_000;

/** The bridge is a process of its own: what reads the network for the registry cannot touch what it holds. */
function keepBridge(): void {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "bridge"], {
    stdio: ["ignore", "inherit", 2],
  });
  const stop = (): void => void child.kill("SIGTERM");
  process.once("exit", stop);
  child.once("exit", (status, signal) => {
    process.off("exit", stop);
    // It was told to stop, by whoever told us too.
    if (status === 0) return;
    complain(`the bridge ended (${signal ?? status}); it is started again`);
    setTimeout(keepBridge, BRIDGE_PAUSE_MS).unref();
  });
}

async function bridge({ env, yamlText }: Sources): Promise<number> {
  const [{ parseConfig }, { readBridgeConfig, startBridge }, { createLog, flushLog }] = await Promise.all([
    import("./config.ts"),
    import("./bridge.ts"),
    import("./http/log.ts"),
  ]);
  process.on("exit", flushLog);
  const { bridgeConfigFile, logLevel, failpoint } = parseConfig(env, yamlText);
  if (bridgeConfigFile === undefined) {
    complain("GOLDSEAL_BRIDGE_CONFIG: names no file; the bridge believes nothing but what it pins");
    return 2;
  }
  const running = await startBridge(await readBridgeConfig(bridgeConfigFile), {
    log: createLog({ level: logLevel }),
    failpoint,
  });
  process.stdout.write(`bridge ready ${running.url}\n`);
  await untilStopped();
  await running.stop();
  if (process.connected) process.disconnect?.();
  return 0;
}

async function authzPlugin({ env, yamlText }: Sources): Promise<number> {
  const [{ parseConfig }, { startAuthzPlugIn }, { createLog, flushLog }] = await Promise.all([
    import("./config.ts"),
    import("./authz-plugin.ts"),
    import("./http/log.ts"),
  ]);
  process.on("exit", flushLog);
  const { authzKeyFiles, authzSocket, logLevel } = parseConfig(env, yamlText);
  if (authzKeyFiles === undefined) {
    complain("GOLDSEAL_AUTHZ_KEYS: names no file; without the bridge's public key nothing could pass");
    return 2;
  }
  const settings = { socket: authzSocket, keyFiles: authzKeyFiles };
  const running = await startAuthzPlugIn(settings, createLog({ level: logLevel }));
  process.stdout.write(`authz-plugin ready ${authzSocket}\n`);
  await untilStopped();
  await running.stop();
  if (process.connected) process.disconnect?.();
  return 0;
}

/** Told by a signal, or by whoever started this process and is gone. */
function untilStopped(): Promise<unknown> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.once(signal, resolve);
    if (process.connected) process.once("disconnect", resolve);
  });
}

/** Every mistake at once, those in the file of directories too, before anything is started. @throws ConfigError */
async function readConfig({ env, yamlText }: Sources): Promise<Config> {
  const [{ ConfigError, parseConfig }, { findDirectoryMistakes }] = await Promise.all([
    import("./config.ts"),
    import("./prepare.ts"),
  ]);
  const parsed = tryParse(() => parseConfig(env, yamlText), ConfigError);
  const mistakes = parsed instanceof ConfigError ? [...parsed.mistakes] : [];
  const directories = parsed instanceof ConfigError ? env.GOLDSEAL_LDAP : parsed.ldapFile;
  if (directories) mistakes.push(...(await findDirectoryMistakes(directories)));
  if (parsed instanceof ConfigError || mistakes.length > 0) throw new ConfigError(mistakes);
  return parsed;
}

function tryParse<T, E extends Error>(parse: () => T, kind: new (...args: never[]) => E): T | E {
  try {
    return parse();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
}

async function doctor(sources: Sources): Promise<number> {
  const [{ checkUp }, { reportFindings }, { findBridgeMistakes }, prepare] = await Promise.all([
    import("./setup/checkup.ts"),
    import("./setup/doctor.ts"),
    import("./bridge.ts"),
    import("./prepare.ts"),
  ]);
  return reportFindings(await checkUp({ ...sources, ...prepare, findBridgeMistakes, now: new Date() }), (line) =>
    process.stdout.write(`${line}\n`),
  );
}

async function adminPassword(sources: Sources): Promise<number> {
  const [config, { resetAdminPassword }, { resetAdminIn }, { createLog, flushLog }] = await Promise.all([
    readConfig(sources),
    import("./setup/admin-password.ts"),
    import("./prepare.ts"),
    import("./http/log.ts"),
  ]);
  process.on("exit", flushLog);
  const log = createLog({ level: "error" });
  const password = await resetAdminPassword({ config, log, say: complain, resetAdmin: resetAdminIn });
  complain("the user admin has a new password, and every token of admin ended; the password is shown only now:");
  process.stdout.write(`${password}\n`);
  return 0;
}

async function work(): Promise<void> {
  const [{ runWorker }, { openApp }, { listen }, { createLog, flushLog }] = await Promise.all([
    import("./setup/worker.ts"),
    import("./app.ts"),
    import("./http/listener.ts"),
    import("./http/log.ts"),
  ]);
  process.on("exit", flushLog);
  runWorker({ openApp, listen, createLog: (level) => createLog({ level }) });
}

function complain(message: string): void {
  process.stderr.write(`goldseal: ${message.split("\n").join("\n  ")}\n`);
}
