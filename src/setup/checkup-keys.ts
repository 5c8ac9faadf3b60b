import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Fault, SeenDatabase } from "./checkup-database.ts";
import type { Finding } from "./doctor.ts";
import { findFile } from "./files.ts";
import { ok, wrong } from "./findings.ts";
import { checkMasterKeys } from "./master-key.ts";
import { hasDatabase } from "./postgres-place.ts";

/** Whether these keys sealed what is in the database; changes nothing there. */
export type InspectKeys = (databaseUrl: string, masterKeys: string) => Promise<Fault | undefined>;

interface KeysSituation {
  readonly config: Config;
  readonly database: SeenDatabase;
  readonly inspectKeys: InspectKeys;
}

/** The file of master keys, and whether it is the one that belongs to the database. */
export async function checkMasterKey({ config, database, inspectKeys }: KeysSituation): Promise<Finding[]> {
  const subject = "master key";
  const file = config.masterKeyFile;
  const content = await findFile(file);
  if (content === undefined) {
    const isOurs = file === join(config.dataFolder, "master.key");
    if (isOurs && !(await hasDatabase(config.dataFolder))) return [ok(subject, "will be made by the first start")];
    return [
      wrong(subject, `${file} is missing`, "put it back from your backup: without it nothing sealed can be opened"),
    ];
  }
  checkMasterKeys(content, file);
  if (database.url === undefined)
    return [ok(subject, `${file}: keep a copy of it elsewhere; the database was not asked whether it is its own`)];
  const fault = await inspectKeys(database.url, content);
  if (fault !== undefined) return [wrong(subject, `${file}: ${fault.text}`, fault.mend)];
  return [ok(subject, `${file} is this database's: keep a copy of it elsewhere`)];
}
