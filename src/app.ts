import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "./config.ts";
import { openDoor } from "./http/door.ts";
import { describeError, type Log } from "./http/log.ts";
import { Metrics } from "./http/metrics.ts";
import { operationsProtocol } from "./http/operations.ts";
import { parseKeyRing } from "./keys/key-ring.ts";
import { checkKeyRing } from "./keys/key-ring-store.ts";
import { MetadataStore } from "./notary/metadata-store.ts";
import { openNotary } from "./notary/open-notary.ts";
import { authorityOf } from "./oci/gun.ts";
import { readDirectories } from "./orgs/ldap/open-directories.ts";
import { ensureAdmin, type OrgsSettings, openOrgs } from "./orgs/open-orgs.ts";
import { registryProtocol } from "./registry/routes.ts";
import { BlobRows } from "./storage/blob-rows.ts";
import { Database } from "./storage/database.ts";
import { findDurabilityFaults } from "./storage/durability-probe.ts";
import { type Failpoint, failpointAt, noFailpoint } from "./storage/failpoint.ts";
import { FsBlobStore } from "./storage/fs-blob-store.ts";
import { ManifestStore } from "./storage/manifest-store.ts";
import { migrate } from "./storage/migrate.ts";
import { RepositoryStore } from "./storage/repository-store.ts";
import { type SweepDeps, sweepUploads } from "./storage/sweep.ts";
import { UploadStore } from "./storage/upload-store.ts";

/** Everything one process needs to serve; made once by the primary and handed to each worker. */
export interface AppSettings {
  readonly config: Config;
  /** Origin without a slash at its end. */
  readonly publicUrl: string;
  readonly databaseUrl: string;
  /** Content of the master key file. */
  readonly masterKeys: string;
}

export interface App {
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
  readonly metrics: Metrics;
  /** Stop background work and close the pool; requests must have drained before. */
  close(): Promise<void>;
}

export interface AppDependencies {
  readonly log: Log;
  readonly now?: () => Date;
  /** The figures of all workers; default: of this one. */
  readonly metricsText?: () => Promise<string>;
}

export interface PrepareOptions {
  readonly adminPassword?: string;
  readonly log: Log;
}

const sweepEveryMs = 10 * 60_000;
const connectionsPerWorker = 10;

/**
 * Once per start, before any worker: refuse a database that cannot keep promises, migrate it, prove that this key ring
 * is the one that sealed its rows, and make `admin` on first start. Returns the password if one was generated.
 */
export async function prepareDatabase(
  settings: AppSettings,
  { adminPassword, log }: PrepareOptions,
): Promise<{ generatedAdminPassword?: string }> {
  if (settings.config.ldapFile !== undefined) await readDirectories(settings.config.ldapFile);
  const database = new Database({ url: settings.databaseUrl, maxConnections: 2 });
  try {
    const faults = await findDurabilityFaults(database);
    if (faults.length > 0) throw new Error(faults.join("\n"));
    const applied = await migrate(database);
    if (applied.length > 0) log.info("database.migrated", { applied });
    const ring = parseKeyRing(settings.masterKeys);
    await checkKeyRing(database, ring);
    const generatedAdminPassword = await ensureAdmin(database, adminPassword);
    return generatedAdminPassword === undefined ? {} : { generatedAdminPassword };
  } finally {
    await database.close();
  }
}

/** The product: every room, wired. Tests open the system through it too. */
export async function openApp(settings: AppSettings, dependencies: AppDependencies): Promise<App> {
  const { config, publicUrl } = settings;
  const { log } = dependencies;
  const onIdleError = (error: Error): void => log.warn("database.connection", describeError(error));
  const database = new Database({ url: settings.databaseUrl, maxConnections: connectionsPerWorker, onIdleError });
  const ring = parseKeyRing(settings.masterKeys);
  await checkKeyRing(database, ring);

  const failpoint = openFailpoint(config);
  const blobs = await openBlobStore(config, failpoint);
  const repositories = new RepositoryStore(database);
  const uploads = new UploadStore(database);
  const notary = openNotary({
    ...{ database, ring, failpoint, log },
    settings: { publicUrl, algorithm: config.trustKeys },
    listable: (actor, names) => orgs.listable(actor, names),
    now: dependencies.now ?? (() => new Date()),
  });
  const { releaseTrust, operations: trustOperations, reseal } = notary;
  const orgs = await openOrgs({
    ...{ ...dependencies, database, ring, repositories, releaseTrust, reseal },
    operations: trustOperations,
    settings: orgsSettings(settings),
  });
  const registry = registryProtocol({
    authorize: orgs.authorize,
    catalog: orgs.catalog,
    blobs,
    blobRows: new BlobRows(database),
    uploads,
    manifests: new ManifestStore(database, failpoint),
    repositories,
    publicUrl,
    deletion: config.deleteEnabled,
    failpoint,
  });

  const metrics = new Metrics(() => database.pool);
  metrics.addGauge({
    name: "goldseal_trust_files_old",
    help: "Current files of trust data that are past 70 % of their life, by role (all delegations are targets/)",
    label: "role",
    read: () => notary.countOld(),
  });
  const metricsText = dependencies.metricsText ?? (() => metrics.registry.metrics());
  const operations = operationsProtocol({ findObstacle: () => findObstacle(database), metricsText });
  // Trust data lies below the registry's own prefix.
  const protocols = [notary.protocol, registry, ...orgs.protocols, operations];
  const handler = openDoor({ protocols, gate: orgs.gate, witness: orgs.witness, log, metrics });
  const stopSweeping = sweepRegularly({ uploads, blobs, ttlHours: config.uploadTtlHours }, log);
  return {
    handler,
    metrics,
    close: async () => {
      await stopSweeping();
      await notary.close();
      await orgs.close();
      await database.close();
    },
  };
}

/** What `goldseal doctor` says of trust data: how many files are old, by role, and GUNs that no repository has. */
export async function inspectTrust(
  databaseUrl: string,
  publicUrl: string,
): Promise<{ old: ReadonlyMap<string, number>; orphans: readonly string[] }> {
  const database = new Database({ url: databaseUrl, maxConnections: 1 });
  try {
    const files = new MetadataStore(database);
    return { old: await files.countOld(new Date()), orphans: await files.listOrphans(authorityOf(publicUrl)) };
  } finally {
    await database.close();
  }
}

function orgsSettings({ config, publicUrl }: AppSettings): OrgsSettings {
  const { authChallenge, tokenTtlSeconds, anonymousPull, ldapFile } = config;
  return { publicUrl, authChallenge, tokenTtlSeconds, anonymous: anonymousPull, ldapFile };
}

function openBlobStore({ blobs }: Config, failpoint: Failpoint): Promise<FsBlobStore> {
  if (blobs.kind !== "fs") throw new Error("S3 is not there yet: set GOLDSEAL_BLOBS=fs:<folder>");
  return FsBlobStore.open(blobs.root, failpoint);
}

function openFailpoint({ failpoint }: Config): Failpoint {
  if (failpoint === undefined) return noFailpoint;
  return failpointAt(failpoint, () => process.kill(process.pid, "SIGKILL"));
}

async function findObstacle(database: Database): Promise<string | undefined> {
  try {
    const [row] = await database.query<{ standby: boolean }>("ready", "select pg_is_in_recovery() as standby");
    return row?.standby === false ? undefined : "the database is a read-only standby";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Every worker sweeps now and then; two at once only find less to do. Returns how to stop, which waits for the last. */
function sweepRegularly(deps: SweepDeps, log: Log): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const sweep = async (): Promise<void> => {
    try {
      const removed = await sweepUploads(deps);
      if (removed > 0) log.info("uploads.swept", { removed });
    } catch (error) {
      log.error("uploads.sweep-failed", describeError(error));
    }
  };
  const timer = setInterval(() => {
    running = sweep();
  }, sweepEveryMs);
  return () => {
    clearInterval(timer);
    return running;
  };
}
