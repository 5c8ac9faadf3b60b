import type { Config } from "../config.ts";
import type { Finding } from "./doctor.ts";
import { findDatabaseUrl } from "./served-database.ts";

/** Looks for damaged bytes in a database. */
export type InspectQuarantine = (databaseUrl: string) => Promise<{
  readonly some: readonly {
    readonly kind: string;
    readonly digest: string;
    readonly repositories: readonly string[];
  }[];
  readonly count: number;
}>;

export interface QuarantineSituation {
  readonly config: Config;
  readonly isServed: boolean;
  readonly inspectQuarantine: InspectQuarantine;
}

/** Names what is in quarantine. */
export async function checkQuarantine({
  config,
  isServed,
  inspectQuarantine,
}: QuarantineSituation): Promise<Finding[]> {
  const subject = "quarantine";
  const databaseUrl = await findDatabaseUrl(config, isServed);
  if (databaseUrl === undefined) return [{ verdict: "ok", subject, text: "is looked at while the server runs" }];
  const { some, count } = await inspectQuarantine(databaseUrl);
  if (count === 0) return [{ verdict: "ok", subject, text: "nothing that was found damaged" }];
  const named = some.map(
    ({ kind, digest, repositories }) => `${kind} ${digest} of ${repositories.join(", ") || "none"}`,
  );
  const text = `${count} damaged: ${named.join("; ")}${count > some.length ? "; …" : ""}`;
  const mend = "push these images again, or put the bytes back from a backup and run goldseal fsck --repair";
  return [{ verdict: "wrong", subject, text, mend }];
}
