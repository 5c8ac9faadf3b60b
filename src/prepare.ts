/** What a start does once, before any worker, and what `goldseal doctor` and the command line look at in its stores. */
import type { AppSettings } from "./app.ts";
import type { Config } from "./config.ts";
import type { Log } from "./http/log.ts";
import { parseKeyRing } from "./keys/key-ring.ts";
import { checkKeyRing, findRingFault } from "./keys/key-ring-store.ts";
import { MetadataStore } from "./notary/metadata-store.ts";
import { authorityOf } from "./oci/gun.ts";
import { readDirectories } from "./orgs/ldap/open-directories.ts";
import { ensureAdmin } from "./orgs/open-orgs.ts";
import { resetAdmin } from "./orgs/reset-admin.ts";
import { PoliciesStore } from "./promotion/policies-store.ts";
import { Database } from "./storage/database.ts";
import { type DurabilityFault, findDurabilityFaults } from "./storage/durability-probe.ts";
import { countQuarantined, listQuarantined } from "./storage/integrity/quarantine.ts";
import { listPending, migrate } from "./storage/migrate.ts";
import type { RequireRow } from "./trust/require.ts";
import { readHandedPolicy } from "./verdicts/bridge-policy.ts";
import { BridgePolicyStore } from "./verdicts/bridge-policy-store.ts";

export interface PrepareOptions {
  readonly adminPassword?: string;
  readonly log: Log;
}

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
    if (faults.length > 0) throw new Error(faults.map(({ text, mend }) => `${text}; ${mend}`).join("\n"));
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

/**
 * What `goldseal doctor` says of a database: why it cannot keep promises, and what the next start changes in it.
 * @throws Error when it cannot be asked
 */
export async function inspectDatabase(
  databaseUrl: string,
): Promise<{ faults: readonly DurabilityFault[]; pending: readonly string[] }> {
  const database = new Database({ url: databaseUrl, maxConnections: 1 });
  try {
    return { faults: await findDurabilityFaults(database), pending: await listPending(database) };
  } finally {
    await database.close();
  }
}

/** What `goldseal doctor` says of master keys: why they are not this database's. */
export async function inspectKeys(
  databaseUrl: string,
  masterKeys: string,
): Promise<{ text: string; mend: string } | undefined> {
  const database = new Database({ url: databaseUrl, maxConnections: 1 });
  try {
    return await findRingFault(database, parseKeyRing(masterKeys));
  } finally {
    await database.close();
  }
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

/** What `goldseal doctor` says of policies: those with rules that servers meet, of the newest for bridges and of promotions. */
export async function inspectPolicies(
  databaseUrl: string,
): Promise<{ policy: string; lenient: number; rules: number }[]> {
  const database = new Database({ url: databaseUrl, maxConnections: 1 });
  try {
    const latest = await new BridgePolicyStore(database).find();
    const environments = latest === undefined ? [] : [...readHandedPolicy(latest.bytes).document.environments];
    const promotions = await new PoliciesStore(database).listLenient();
    return [
      ...environments.map(([name, { require }]) => countLenient(`environment ${name}`, require)),
      ...promotions.map(({ name, source, terms }) =>
        countLenient(`promotion policy ${name} of ${source}`, terms.require),
      ),
    ].filter(({ lenient }) => lenient > 0);
  } finally {
    await database.close();
  }
}

function countLenient(policy: string, require: readonly RequireRow[]) {
  return { policy, lenient: require.filter((row) => row.class !== "client-key").length, rules: require.length };
}
