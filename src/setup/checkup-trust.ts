import type { Config } from "../config.ts";
import type { Finding } from "./doctor.ts";
import { urlHost } from "./primary.ts";
import { findDatabaseUrl } from "./served-database.ts";

/** Looks at the trust data in a database. */
export type InspectTrust = (
  databaseUrl: string,
  publicUrl: string,
) => Promise<{
  /** How many current files of a role are past 70 % of their life. */
  readonly old: ReadonlyMap<string, number>;
  /** GUNs that have trust data and no repository. */
  readonly orphans: readonly string[];
}>;

export interface TrustSituation {
  readonly config: Config;
  readonly isServed: boolean;
  readonly inspectTrust: InspectTrust;
}

/** Who can sign a role anew, and how. */
const MEND: Readonly<Record<string, string>> = {
  timestamp:
    "the server signs these each day unless a root is over or names a key it does not hold: see trust.not-renewed in its log",
  snapshot: "where the server holds the key, see trust.not-renewed in its log; else publish again",
  root: "its owner signs it anew: notary key rotate <GUN> root; one that the server founded it signs itself, see trust.not-renewed in its log",
};
const PUBLISH =
  "its signer publishes again: docker trust sign, or notary witness -p <GUN> <role>; what the server signs alone (targets/goldseal-…, and all that it founded) it signs itself, see trust.not-renewed in its log";

/** Only of a database that runs: the embedded one runs while its server does. */
export async function checkTrustData({ config, isServed, inspectTrust }: TrustSituation): Promise<Finding[]> {
  const databaseUrl = await findDatabaseUrl(config, isServed);
  if (databaseUrl === undefined)
    return [{ verdict: "ok", subject: "trust data", text: "is looked at while the server runs" }];
  const publicUrl = config.publicUrl ?? `https://${urlHost(config.listen.host)}:${config.listen.port}`;
  const { old, orphans } = await inspectTrust(databaseUrl, publicUrl);
  const findings: Finding[] = [...old].map(([role, count]) => ({
    verdict: "warning",
    subject: "trust data",
    text: `${count} current ${role} ${count === 1 ? "file is" : "files are"} past 70 % of life`,
    mend: MEND[role] ?? PUBLISH,
  }));
  if (orphans.length > 0) {
    const some = orphans.slice(0, 5).join(", ");
    const text = `${orphans.length} GUNs have no repository under ${publicUrl}: ${some}${orphans.length > 5 ? ", …" : ""}`;
    const mend =
      "clients find them only under the URL they were signed for: set GOLDSEAL_PUBLIC_URL back, or sign anew";
    findings.push({ verdict: "warning", subject: "trust data", text, mend });
  }
  return findings.length > 0
    ? findings
    : [{ verdict: "ok", subject: "trust data", text: "in time, and every GUN has its repository" }];
}
