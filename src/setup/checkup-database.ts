import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Finding } from "./doctor.ts";
import { hasCode, messageOf } from "./errors.ts";
import { findFile } from "./files.ts";
import { ok, wrong } from "./findings.ts";
import { findDatabaseUrl } from "./served-database.ts";

/** Something wrong, and what to do. */
export interface Fault {
  readonly text: string;
  readonly mend: string;
}

/** Signs in, and looks at what the database is like. @throws Error of the driver when it cannot be asked */
export type InspectDatabase = (databaseUrl: string) => Promise<{
  /** Why it cannot keep promises. */
  readonly faults: readonly Fault[];
  /** Migrations that the next start applies. */
  readonly pending: readonly string[];
}>;

export interface SeenDatabase {
  readonly findings: readonly Finding[];
  /** Of one that answers. */
  readonly url?: string;
  /** Why what is in it cannot be looked at, where it should be. */
  readonly whyClosed?: string;
}

interface DatabaseSituation {
  readonly config: Config;
  readonly isServed: boolean;
  readonly inspectDatabase: InspectDatabase;
}

/** What PostgreSQL's own refusals want, by code; whatever else fails is a server that cannot be reached. */
const MENDS: readonly { readonly codes: readonly string[]; readonly mend: string }[] = [
  { codes: ["28P01", "28000"], mend: "put the right user and password into GOLDSEAL_DATABASE_URL" },
  { codes: ["3D000"], mend: "make that database (createdb), or mend its name in GOLDSEAL_DATABASE_URL" },
  { codes: ["53300"], mend: "raise max_connections in PostgreSQL, or end what holds its connections" },
  { codes: ["57P03"], mend: "PostgreSQL starts, stops or recovers: look again in a moment, and into its log" },
];
const UNREACHABLE = "start that PostgreSQL, or mend GOLDSEAL_DATABASE_URL";

/** The database, and whether others may look into it: the embedded one can be asked while its server runs. */
export async function seeDatabase({ config, isServed, inspectDatabase }: DatabaseSituation): Promise<SeenDatabase> {
  const embedded = config.database.kind === "embedded" ? await seeCluster(config, isServed) : undefined;
  if (embedded?.finding?.verdict === "ok") return { findings: [embedded.finding] };
  if (embedded?.finding !== undefined) return closed(embedded.finding);
  const { where, mend } = embedded ?? { where: hostOf(config) };
  const url = await findDatabaseUrl(config, isServed);
  if (url === undefined) return closed(wrong("database", `${where}: PostgreSQL does not run`, mend));
  try {
    const { faults, pending } = await inspectDatabase(url);
    const findings = faults.map((fault) => wrong("database", `${where}: ${fault.text}`, fault.mend));
    const todo =
      pending.length > 0 ? `; the next start makes or changes its tables (${pending.length} migrations)` : "";
    return {
      findings: findings.length > 0 ? findings : [ok("database", `${where}, takes sign-ins${todo}`)],
      url,
      ...(pending.length > 0 && { whyClosed: "the next start makes or changes its tables" }),
    };
  } catch (error) {
    const cause = rootOf(error);
    const own = MENDS.find(({ codes }) => hasCode(cause, ...codes))?.mend;
    return closed(wrong("database", `${where}: ${wordsOf(cause)}`, mend ?? own ?? UNREACHABLE));
  }
}

function closed(finding: Finding): SeenDatabase {
  return { findings: [finding], whyClosed: "the database does not answer" };
}

/** The embedded one: what its folder says before anybody is asked. */
async function seeCluster(
  { dataFolder }: Config,
  isServed: boolean,
): Promise<{ finding?: Finding; where: string; mend: string }> {
  const remembered = (await findFile(join(dataFolder, "postgres.folder")))?.trim();
  const cluster = remembered ?? join(dataFolder, "postgres");
  const place = { where: `in ${cluster}`, mend: `see ${join(dataFolder, "postgres.log")}` };
  if ((await findFile(join(cluster, "PG_VERSION"))) === undefined) {
    if (remembered === undefined) return { ...place, finding: ok("database", "will be made by the first start") };
    const mend = "put it back from your backup, or start with an empty GOLDSEAL_DATA";
    return { ...place, finding: wrong("database", `${cluster} is gone`, mend) };
  }
  return isServed ? place : { ...place, finding: ok("database", `in ${cluster}, starts with Goldseal`) };
}

function hostOf({ database }: Config): string {
  if (database.kind === "embedded") return "embedded";
  const url = new URL(database.url.reveal());
  return url.searchParams.get("host") ?? url.hostname;
}

/** The first reason: what wraps it speaks to clients of the registry. */
function rootOf(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? rootOf(error.cause) : error;
}

/** Of a name with several addresses Node tells each, and nothing of the whole. */
function wordsOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join(", ") : messageOf(error);
}
