import type { Config } from "../config.ts";
import type { Finding } from "./doctor.ts";
import { warning } from "./findings.ts";
import { findDatabaseUrl } from "./served-database.ts";

/** A policy with rules that are met by what a server says, too: `class` is not `client-key`. */
export interface LenientPolicy {
  /** `environment prod`, or `promotion policy next of dev/app`. */
  readonly policy: string;
  /** How many of its rules are such, and how many it has. */
  readonly lenient: number;
  readonly rules: number;
}

/** Looks at the newest bridge policy in a database, and at the promotion policies that are in use. */
export type InspectPolicies = (databaseUrl: string) => Promise<readonly LenientPolicy[]>;

export interface PolicySituation {
  readonly config: Config;
  readonly isServed: boolean;
  readonly inspectPolicies: InspectPolicies;
}

const SUBJECT = "policies";

/** Says where the promise is given up that nothing starts with the server's own keys alone. @see design.md, rule 6 */
export async function checkPolicy({ config, isServed, inspectPolicies }: PolicySituation): Promise<Finding[]> {
  const databaseUrl = await findDatabaseUrl(config, isServed);
  if (databaseUrl === undefined)
    return [{ verdict: "ok", subject: SUBJECT, text: "are looked at while the server runs" }];
  const found = await inspectPolicies(databaseUrl);
  if (found.length === 0)
    return [{ verdict: "ok", subject: SUBJECT, text: "every rule asks for keys that people hold" }];
  return found.map(({ policy, lenient, rules }) =>
    warning(
      SUBJECT,
      `${policy}: ${lenient} of ${rules} ${rules === 1 ? "rule takes" : "rules take"} the server's word (server-attested): whoever owns this server meets ${lenient === 1 ? "it" : "them"}`,
      `ask for class client-key there, unless that is what you want`,
    ),
  );
}
