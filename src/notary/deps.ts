import type { Log } from "../http/log.ts";
import type { Request } from "../http/request.ts";
import type { Actor, ListableLives } from "../oci/access.ts";
import type { Digest } from "../oci/digest.ts";
import type { RepositoryName } from "../oci/repository-name.ts";
import type { AutoSignRules } from "../storage/auto-sign-rules.ts";
import type { Confirm, Database, Sql } from "../storage/database.ts";
import type { Failpoint } from "../storage/failpoint.ts";
import type { TagDigests } from "../storage/tag-digests.ts";
import type { ChangefeedStore } from "./changefeed-store.ts";
import type { FoundingKeysStore } from "./founding-keys-store.ts";
import type { MetadataStore } from "./metadata-store.ts";
import type { OrgSignersStore } from "./org-signers-store.ts";
import type { ServerKeysStore } from "./server-keys-store.ts";
import type { SignaturesStore } from "./signatures-store.ts";
import type { TargetsReader } from "./targets-reader.ts";
import type { TrustView } from "./trust-view.ts";
import type { Root } from "./tuf/metadata.ts";
import type { Gun } from "./tuf/names.ts";
import type { StoredRole } from "./tuf/update.ts";

/** Whom keys lead to, by the hex SHA-256 of their SPKI. */
export type People = ReadonlyMap<
  string,
  {
    readonly user: string;
    /** False where the key was taken back since, or its owner may do nothing at present. */
    readonly counts: boolean;
    /** `qa/testers`: of the organization that was asked about. */
    readonly teams: readonly string[];
  }
>;

/** What the Notary v1 API is made of; app.ts passes it. */
export interface NotaryDeps {
  readonly database: Database;
  readonly files: MetadataStore;
  readonly keys: ServerKeysStore;
  readonly signers: OrgSignersStore;
  readonly foundingKeys: FoundingKeysStore;
  readonly changes: ChangefeedStore;
  /** The root that is stored, read once for as long as it is remembered. */
  readonly readRoot: (stored: StoredRole) => Root;
  readonly targetsReader: TargetsReader;
  /** Of the change that a request makes: see storage/database.ts. */
  readonly confirm: (request: Request) => Confirm;
  /** Which of these repositories the actor may list, and of which life of their names. */
  readonly listable: (actor: Actor, names: readonly RepositoryName[]) => Promise<ListableLives>;
  /** The REST API's errors with these codes. */
  readonly refusal: (code: "precondition-failed" | "trust-refused", message: string) => Error;
  readonly autoSignRules: AutoSignRules;
  readonly signatures: SignaturesStore;
  /** What a reader of the GUN's trust data finds. */
  readonly viewTrust: (gun: Gun) => Promise<TrustView>;
  /** What the registry has. */
  readonly tags: TagDigests;
  /** Of keys that were proved, by `spkis`, asked about in `org`. */
  readonly findPeople: (spkis: readonly string[], org: string) => Promise<People>;
  /** In the transaction of a publish that signs these images. */
  readonly onSigned: (sql: Sql, digests: readonly Digest[]) => Promise<void>;
  /** What every GUN begins with, before its slash. */
  readonly authority: string;
  readonly now: () => Date;
  readonly log: Log;
  readonly failpoint: Failpoint;
}
