import type { IncomingMessage, ServerResponse } from "node:http";
import type { Config } from "./config.ts";
import { openDoor } from "./http/door.ts";
import { describeError, type Log } from "./http/log.ts";
import { Metrics } from "./http/metrics.ts";
import { operationsProtocol } from "./http/operations.ts";
import type { Route } from "./http/route.ts";
import { parseKeyRing } from "./keys/key-ring.ts";
import { checkKeyRing } from "./keys/key-ring-store.ts";
import type { People } from "./notary/deps.ts";
import { MetadataStore } from "./notary/metadata-store.ts";
import { type Notary, openNotary } from "./notary/open-notary.ts";
import { authorityOf } from "./oci/gun.ts";
import { notFound, OrgsError } from "./orgs/errors.ts";
import { findKeysOfUser } from "./orgs/keys-of-user.ts";
import { readDirectories } from "./orgs/ldap/open-directories.ts";
import { ensureAdmin, type Orgs, type OrgsSettings, openOrgs } from "./orgs/open-orgs.ts";
import { findPeopleOfKeys, type PersonOfKey } from "./orgs/people-of-keys.ts";
import { findProvedKeys } from "./orgs/proved-keys.ts";
import { resetAdmin } from "./orgs/reset-admin.ts";
import { openPromotion } from "./promotion/open-promotion.ts";
import { openGarbageCollection } from "./registry/open-garbage-collection.ts";
import { openIntegrity } from "./registry/open-integrity.ts";
import { redirectsFor } from "./registry/redirects.ts";
import { registryProtocol } from "./registry/routes.ts";
import { BlobRows, type SeeBytes } from "./storage/blob-rows.ts";
import { Database, type Sql } from "./storage/database.ts";
import { findDurabilityFaults } from "./storage/durability-probe.ts";
import { type Failpoint, failpointAt, noFailpoint } from "./storage/failpoint.ts";
import { countQuarantined, listQuarantined } from "./storage/integrity/quarantine.ts";
import { ManifestStore } from "./storage/manifest-store.ts";
import { migrate } from "./storage/migrate.ts";
import { openBlobs } from "./storage/open-blobs.ts";
import { RepositoryStore } from "./storage/repository-store.ts";
import { type SweepDeps, sweepUploads } from "./storage/sweep.ts";
import { UploadStore } from "./storage/upload-store.ts";
import { bridgePolicyOperations } from "./verdicts/bridge-policy-api.ts";
import { BridgePolicyStore } from "./verdicts/bridge-policy-store.ts";
import { openVerdicts } from "./verdicts/open-verdicts.ts";
import type { ImageVerdict } from "./verdicts/policy-verdict.ts";

/** Everything one process needs to serve; made once by the primary and handed to each worker. */
export interface AppSettings {
  readonly config: Config;
  /** Origin without a slash at its end. */
  readonly publicUrl: string;
  readonly databaseUrl: string;
  /** Content of the master key file. */
  readonly masterKeys: string;
  /** What {@link prepareBlobs} found; default: yes. */
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

export interface PrepareOptions {
  readonly adminPassword?: string;
  readonly log: Log;
}

const sweepEveryMs = 10 * 60_000;
/** Whoever pushes waits for a row that a collection holds, but not for long. */
const lockMs = 5_000;
/** Of one worker. */
const connections = 10;
/**
 * Objects in a bucket are found by rows, and are looked for inside of transactions: by connections of their own, or
 * transactions that hold all the others would wait for each other.
 */
const objectConnections = 4;

/** What is wrong with the file of GOLDSEAL_LDAP and with what it names. */
export async function findDirectoryMistakes(file: string): Promise<string[]> {
  return readDirectories(file).then(
    () => [],
    (error: unknown) => (error instanceof Error ? error.message.split("\n") : [String(error)]),
  );
}

/**
 * Once per start, before any worker: refuse a database that cannot keep promises, migrate it, prove that this key ring
 * is the one that sealed its rows, and make `admin` on first start. Returns the password if one was generated.
 */
export async function prepareDatabase(
  settings: AppSettings,
  { adminPassword, log }: PrepareOptions,
): Promise<{ generatedAdminPassword?: string }> {
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

/** A new password for the user `admin`. @throws Error when there is no such user */
export async function resetAdminIn(databaseUrl: string): Promise<string> {
  const database = new Database({ url: databaseUrl, maxConnections: 2 });
  try {
    return await resetAdmin(database, new Date());
  } finally {
    await database.close();
  }
}

/**
 * Once per start: whether the bucket can be used, and what it offers. Nothing for a folder, which is made as needed.
 * @throws Error with what it lacks and what to do, one line each
 */
export async function prepareBlobs({ blobs }: Config): Promise<{ s3Checksums?: boolean }> {
  if (blobs.kind === "fs") return {};
  const { probeS3 } = await import("./storage/s3-probe.ts");
  const { hasChecksums, faults } = await probeS3(blobs);
  if (faults.length > 0) throw new Error(["GOLDSEAL_BLOBS: this bucket cannot keep blobs", ...faults].join("\n"));
  return { s3Checksums: hasChecksums };
}

/** The product: every room, wired. Tests open the system through it too. */
export async function openApp(settings: AppSettings, dependencies: AppDependencies): Promise<App> {
  const { config, publicUrl } = settings;
  const { log } = dependencies;
  const onIdleError = (error: Error): void => log.warn("database.connection", describeError(error));
  const openDatabase = (maxConnections: number): Database =>
    new Database({ lockMs, maxConnections, url: settings.databaseUrl, onIdleError });
  const database = openDatabase(connections);
  const ring = parseKeyRing(settings.masterKeys);
  await checkKeyRing(database, ring);

  const failpoint = openFailpoint(config);
  const now = dependencies.now ?? (() => new Date());
  const { blobs, inventory, inspector, closeBlobs } = await openBlobs(config.blobs, {
    openDatabase: () => openDatabase(objectConnections),
    ...{ s3Checksums: settings.s3Checksums ?? true, failpoint, now },
  });
  const repositories = new RepositoryStore(database);
  const uploads = new UploadStore(database);
  const seeBytes: SeeBytes = async (digest, size) => (await blobs.findSize(digest)) === size;
  const metrics = new Metrics(() => database.pool);
  const gcParts = { database, seeBytes, failpoint, log, notFound, metrics: metrics.registry, ...gcSettings(config) };
  const garbage = openGarbageCollection({ ...gcParts, inventory });
  const integrity = openIntegrity({
    ...{ database, blobs, inspector, inventory, failpoint, metrics, log, notFound },
    confirm: (request) => orgs.confirm(request),
    preconditionFailed: (message) => new OrgsError("precondition-failed", message),
  });
  metrics.addGauge({
    name: "goldseal_trust_files_old",
    help: "Current files of trust data that are past 70 % of their life, by role (all delegations are targets/)",
    label: "role",
    read: () => notary.countOld(),
  });
  const notary = openNotary({
    ...{ database, ring, failpoint, log, now },
    settings: { publicUrl, algorithm: config.trustKeys },
    confirm: (request) => orgs.confirm(request),
    refusal: (code, message) => new OrgsError(code, message),
    listable: (actor, names) => orgs.listable(actor, names),
    findPeople: (spkis, org) => findPeople(database, spkis, org),
    onSigned: (sql, digests) => promotion.onSigned(sql, digests),
  });
  const { releaseTrust, operations: trustOperations, reseal } = notary;
  const verdicts = openVerdicts({
    ...{ database, blobs, log, now, notFound, readTrust: notary.readTrust, authority: authorityOf(publicUrl) },
    findPeople: (who) => orgs.findPeopleWhoSign(who),
    confirm: (request) => orgs.confirm(request),
    preconditionFailed: (message) => new OrgsError("precondition-failed", message),
    belongsTo: (actor, org) => orgs.belongsTo(actor, org),
    findUnknownTeams: (actor, teams) => orgs.findUnknownTeams(actor, teams),
    listable: (actor, names) => orgs.listable(actor, names),
    maySign: (actor, repository) => orgs.maySign(actor, repository),
    recordTurn: (sql, turn) => recordTurn({ sql, turn, at: now(), notary, orgs }),
    recordWarning: (request, { policy, note, image }) =>
      orgs.noteFinding(request, {
        ...{ action: "policy-warning", target: image.repository },
        detail: { policy: policy.name, tag: image.tag ?? null, digest: image.digest, missing: [...note.missing] },
      }),
  });
  const promotion = openPromotion({
    ...{ database, seeBytes, failpoint, log, now, notFound, authority: authorityOf(publicUrl) },
    preconditionFailed: (message) => new OrgsError("precondition-failed", message),
    authorize: (actor, name, action) => orgs.authorize(actor, name, action),
    listable: (actor, names) => orgs.listable(actor, names),
    confirm: (request) => orgs.confirm(request),
    confirmRights: (request, needed) => orgs.confirmRights(request, needed),
    judgeRights: (request, needed) => orgs.judgeRights(request, needed),
    record: (sql, deed) => orgs.record(sql, deed),
    findTeams: (sql, userId) => orgs.findTeams(sql, userId),
    findKeys: findKeysOfUser,
    refusalOf: (error) => (error instanceof OrgsError ? error.message : undefined),
    openSigner: notary.openPromoteSigner,
    // The bridge's deployments come here, too.
    history: [notary.signatureHistory],
    judgeGates: verdicts.judgePromotion,
    moveTags: (sql, move) => manifests.moveTags(sql, move),
    removeTag: (sql, repository, tag) => manifests.removeTag(sql, repository, tag),
    issueTarget: (sql, target) => notary.serverTargets.issue(sql, { ...target, purpose: "promote" }),
    withdrawTarget: (sql, target) => notary.serverTargets.withdraw(sql, { ...target, purpose: "promote" }),
  });
  const { onPush } = promotion;
  const manifests = new ManifestStore(database, { seeBytes, failpoint, tagSigner: notary.tagSigner, onPush });
  const policyOperations = bridgePolicyOperations({
    policies: new BridgePolicyStore(database),
    findProvedKeys: (which) => findProvedKeys(database, which),
    readsAll: (actor) => orgs.readsAll(actor),
    confirm: (request) => orgs.confirm(request),
    preconditionFailed: (message) => new OrgsError("precondition-failed", message),
    ...{ notFound, now },
  });
  const orgs = await openOrgs({
    ...{ ...dependencies, database, ring, repositories, releaseTrust, reseal },
    operations: [
      ...garbage.operations,
      ...integrity.operations,
      ...trustOperations,
      ...policyOperations,
      ...verdicts.operations,
      ...promotion.operations,
    ],
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
  const handler = openDoor({ protocols, gate: orgs.gate, witness: orgs.witness, log, metrics });
  const stopPromoting = promotion.work();
  const stopSweeping = sweepRegularly({ uploads, blobs, ttlHours: config.uploadTtlHours }, log);
  return {
    handler,
    metrics,
    routes: protocols.flatMap(({ routes }) => routes),
    close: async () => {
      await stopSweeping();
      await stopPromoting();
      await garbage.close();
      await integrity.close();
      await verdicts.close();
      await notary.close();
      await orgs.close();
      await closeBlobs();
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

/** What `goldseal doctor` says of damaged bytes: a few of those in quarantine, and how many there are. */
export async function inspectQuarantine(
  databaseUrl: string,
): Promise<{ some: readonly { kind: string; digest: string; repositories: readonly string[] }[]; count: number }> {
  const database = new Database({ url: databaseUrl, maxConnections: 1 });
  try {
    const counts = await countQuarantined(database);
    const count = [...counts.values()].reduce((sum, one) => sum + one, 0);
    return { some: await listQuarantined(database, "", 5), count };
  } finally {
    await database.close();
  }
}

interface TurnParts {
  readonly sql: Sql;
  readonly turn: ImageVerdict;
  readonly at: Date;
  readonly notary: Pick<Notary, "recordTurn">;
  readonly orgs: Pick<Orgs, "recordFinding">;
}

/** Into the audit, and into the history of the tag. */
async function recordTurn({ sql, turn, at, notary, orgs }: TurnParts): Promise<void> {
  const { image, policy, allowed, note } = turn;
  const { repository, repositoryId, digest, tag = "" } = image;
  await orgs.recordFinding(sql, {
    ...{ at, action: allowed ? "verdict-allowed" : "verdict-refused", target: repository },
    detail: { policy: policy.name, mode: policy.mode, tag, digest, missing: [...note.missing] },
  });
  const kind = allowed ? "allowed" : "refused";
  await notary.recordTurn(sql, { repositoryId, at, kind, tag, digest, policy: policy.name });
}

/** As `goldseal key who` answers: only of the organization's own people. */
async function findPeople(database: Database, spkis: readonly string[], org: string): Promise<People> {
  const found = await findPeopleOfKeys(database, { spkis, org });
  const own = [...found].filter(([, { user, role }]) => role !== undefined || user === org);
  const counts = ({ removedAt, suspended }: PersonOfKey): boolean => removedAt === undefined && !suspended;
  return new Map(own.map(([spki, person]) => [spki, { user: person.user, counts: counts(person) }]));
}

function orgsSettings({ config, publicUrl }: AppSettings): OrgsSettings {
  const { authChallenge, tokenTtlSeconds, anonymousPull, ldapFile } = config;
  return { publicUrl, authChallenge, tokenTtlSeconds, anonymous: anonymousPull, ldapFile };
}

/** Times in seconds; undefined for never. */
function gcSettings({ gcEveryMinutes, gcGraceHours, gcUntaggedHours }: Config) {
  return {
    everySeconds: gcEveryMinutes === "off" ? undefined : gcEveryMinutes * 60,
    graceSeconds: gcGraceHours * 3600,
    untaggedSeconds: gcUntaggedHours === "off" ? undefined : gcUntaggedHours * 3600,
  };
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
