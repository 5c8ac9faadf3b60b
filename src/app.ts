import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "./config.ts";
import { openGround } from "./ground.ts";
import { openDoor } from "./http/door.ts";
import { describeError, type Log } from "./http/log.ts";
import type { Metrics } from "./http/metrics.ts";
import { operationsProtocol } from "./http/operations.ts";
import type { Route } from "./http/route.ts";
import { openImageTrust } from "./image-trust.ts";
import { notFound, preconditionFailed } from "./orgs/errors.ts";
import { type OrgsSettings, openOrgs } from "./orgs/open-orgs.ts";
import { openGarbageCollection } from "./registry/open-garbage-collection.ts";
import { openIntegrity } from "./registry/open-integrity.ts";
import { redirectsFor } from "./registry/redirects.ts";
import { registryProtocol } from "./registry/routes.ts";
import type { Bridge } from "./relay/deps.ts";
import { openBridge } from "./relay/open-relay.ts";
import { relayOperations } from "./relay/routes.ts";
import { BlobRows } from "./storage/blob-rows.ts";
import type { Database } from "./storage/database.ts";
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
  /** What `prepareBlobs` found; default: yes. */
  readonly s3Checksums?: boolean;
}

export interface App {
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
  readonly metrics: Metrics;
  /** Everything that is served, as the door has it. */
  readonly routes: readonly Route[];
  /** Stop background work and close the pool; requests must have drained before. */
  close(): Promise<void>;
}

export interface AppDependencies {
  readonly log: Log;
  readonly now?: () => Date;
  /** The figures of all workers; default: of this one. */
  readonly metricsText?: () => Promise<string>;
}

const sweepEveryMs = 10 * 60_000;
/** The product: every room, wired. Tests open the system through it too. */
export async function openApp(settings: AppSettings, dependencies: AppDependencies): Promise<App> {
  const { config, publicUrl } = settings;
  const ground = await openGround(settings, dependencies);
  const { database, blobs, seeBytes, metrics, failpoint, log } = ground;
  const repositories = new RepositoryStore(database);
  const uploads = new UploadStore(database);
  const garbage = openGarbageCollection({ ...ground, notFound, metrics: metrics.registry, ...gcSettings(config) });
  const integrity = openIntegrity({
    ...ground,
    notFound,
    preconditionFailed,
    confirm: (request) => orgs.confirm(request),
  });
  const bridge = await openBridgeOf(config);
  const relay = relayOperations({
    ...{ bridge, notFound },
    noteDone: (request, deed) => orgs.noteFinding(request, { ...deed, namespace: "" }),
    noteRefused: (request, deed) => orgs.noteRefusal(request, { ...deed, namespace: "" }),
  });
  const trust = openImageTrust(ground, { publicUrl, algorithm: config.trustKeys, orgs: () => orgs });
  const { notary, verdicts, promotion, manifests } = trust;
  const orgs = await openOrgs({
    ...{ ...dependencies, database, ring: ground.ring, repositories, failpoint },
    ...{ releaseTrust: notary.releaseTrust, reseal: notary.reseal },
    operations: [garbage, integrity, trust].flatMap(({ operations }) => operations).concat(relay),
    settings: orgsSettings(settings),
  });
  verdicts.begin();
  const registry = registryProtocol({
    authorize: orgs.authorize,
    catalog: orgs.catalog,
    confirm: orgs.confirm,
    checkPull: verdicts.checkPull,
    blobs,
    blobRows: new BlobRows(database, seeBytes),
    uploads,
    manifests,
    repositories,
    publicUrl,
    deletion: config.deleteEnabled,
    redirects: redirectsFor(config.blobRedirect),
    doubts: integrity.doubts,
    failpoint,
  });

  const metricsText = dependencies.metricsText ?? (() => metrics.registry.metrics());
  const operations = operationsProtocol({ findObstacle: () => findObstacle(database), metricsText });
  // Trust data lies below the registry's own prefix.
  const protocols = [notary.protocol, registry, ...orgs.protocols, operations];
  const handler = openDoor({
    ...{ protocols, gate: orgs.gate, witness: orgs.witness, log, metrics },
    trustedProxies: config.trustedProxies,
  });
  const stopPromoting = promotion.work();
  const stopSweeping = sweepRegularly({ uploads, blobs, ttlHours: config.uploadTtlHours }, log);
  return {
    handler,
    metrics,
    routes: protocols.flatMap(({ routes }) => routes),
    close: async () => {
      bridge?.client.close();
      await stopSweeping();
      await stopPromoting();
      await garbage.close();
      await integrity.close();
      await verdicts.close();
      await notary.close();
      await orgs.close();
      await ground.closeBlobs();
      await database.close();
    },
  };
}

function orgsSettings({ config, publicUrl }: AppSettings): OrgsSettings {
  const { authChallenge, tokenTtlSeconds, anonymousPull, ldapFile, bridgeAccount } = config;
  return { publicUrl, authChallenge, tokenTtlSeconds, anonymous: anonymousPull, ldapFile, bridgeAccount };
}

/** Undefined: this installation deploys nothing. */
async function openBridgeOf({ bridgeUrl: url, bridgeCaFile, bridgeSecretFile }: Config): Promise<Bridge | undefined> {
  if (url === undefined) return undefined;
  return openBridge({ url, caFile: bridgeCaFile, secretFile: bridgeSecretFile });
}

/** Times in seconds; undefined for never. */
function gcSettings({ gcEveryMinutes, gcGraceHours, gcUntaggedHours }: Config) {
  return {
    everySeconds: gcEveryMinutes === "off" ? undefined : gcEveryMinutes * 60,
    graceSeconds: gcGraceHours * 3600,
    untaggedSeconds: gcUntaggedHours === "off" ? undefined : gcUntaggedHours * 3600,
  };
}

async function findObstacle(database: Database): Promise<string | undefined> {
  try {
    const [row] = await database.query<{ standby: boolean }>("ready", "select pg_is_in_recovery() as standby");
    return row?.standby === false ? undefined : "the database is a read-only standby";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Every worker sweeps at once, since whoever is started again and again would never sweep else, and now and then; two at
 * the same time only find less to do. Returns how to stop, which waits for the last.
 */
function sweepRegularly(deps: SweepDeps, log: Log): () => Promise<void> {
  const sweep = async (): Promise<void> => {
    try {
      const removed = await sweepUploads(deps);
      if (removed > 0) log.info("uploads.swept", { removed });
    } catch (error) {
      log.error("uploads.sweep-failed", describeError(error));
    }
  };
  let running = sweep();
  const timer = setInterval(() => {
    running = sweep();
  }, sweepEveryMs);
  return () => {
    clearInterval(timer);
    return running;
  };
}
