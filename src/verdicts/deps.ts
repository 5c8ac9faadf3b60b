import type { Key } from "../notary/tuf/key.ts";
import type { Database } from "../storage/database.ts";
import type { TrustedCollection } from "../trust/tuf-evidence.ts";
import type { ReadSmallBlob } from "./cosign-reader.ts";

/** The trust data of a GUN: see notary/trust-collections.ts. */
export interface OpenCollection {
  readonly collection: TrustedCollection | undefined;
  readonly machines: ReadonlySet<string>;
  readonly problem: string | undefined;
}

/** See orgs/people-who-sign.ts. */
export interface WhoMaySign {
  readonly org: string;
  readonly teams: readonly string[];
}

/** See orgs/people-who-sign.ts. */
export interface KeyOfPerson {
  readonly spki: string;
  readonly key: Key;
  readonly user: string;
  readonly proved: boolean;
  readonly removed: boolean;
  readonly removedAt: Date | undefined;
  readonly suspended: boolean;
  readonly teams: readonly string[];
}

/** What a verdict is made of; app.ts passes what other rooms know. */
export interface EvidenceDeps {
  readonly database: Database;
  readonly readBlob: ReadSmallBlob;
  readonly readTrust: (gun: string) => Promise<OpenCollection>;
  readonly findPeople: (who: WhoMaySign) => Promise<readonly KeyOfPerson[]>;
  /** What every GUN begins with, before its slash. */
  readonly authority: string;
  readonly now: () => Date;
}
