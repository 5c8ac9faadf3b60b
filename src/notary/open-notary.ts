import type { Log } from "../http/log.ts";
import type { RestOperation } from "../http/rest-operation.ts";
import type { Protocol } from "../http/route.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { SigningAlgorithm } from "../keys/signing-key.ts";
import { authorityOf } from "../oci/gun.ts";
import { AutoSignRules } from "../storage/auto-sign-rules.ts";
import type { Database, Sql } from "../storage/database.ts";
import type { Failpoint } from "../storage/failpoint.ts";
import { openTagDigests } from "../storage/tag-digests.ts";
import type { TagSigner } from "../storage/tag-rows.ts";
import type { EnvelopeSigner } from "../trust/dsse.ts";
import { autoSignOperations, createTagSigner } from "./auto-sign-api.ts";
import { ChangefeedStore } from "./changefeed-store.ts";
import type { NotaryDeps } from "./deps.ts";
import { toEnvelopeSigner } from "./envelope-signer.ts";
import { FoundingKeysStore } from "./founding-keys-store.ts";
import { MetadataStore } from "./metadata-store.ts";
import { orgSignersOperations } from "./org-signers-api.ts";
import { OrgSignersStore } from "./org-signers-store.ts";
import { createReleaseTrust, type ReleaseTrust } from "./release-trust.ts";
import { renewRegularly } from "./renewal-job.ts";
import { rootOperations } from "./root-api.ts";
import { openRootReader } from "./root-reader.ts";
import { notaryProtocol } from "./routes.ts";
import { serverKeysOperations } from "./server-keys-api.ts";
import { ServerKeysStore } from "./server-keys-store.ts";
import type { Obstacle } from "./server-standing.ts";
import {
  findObstacle,
  issueServerTarget,
  type ServerTarget,
  type ServerTargetQuery,
  withdrawServerTarget,
} from "./server-target.ts";
import { openSignatureHistory } from "./signature-history.ts";
import { signaturesOperations } from "./signatures-api.ts";
import { insertTurn, SignaturesStore, type TurnedTag } from "./signatures-store.ts";
import { tagTrustOperations } from "./tag-trust-api.ts";
import { openTargetsReader } from "./targets-reader.ts";
import { type OpenCollection, openTrustCollections } from "./trust-collections.ts";
import { openTrustViews } from "./trust-view.ts";

export interface NotarySettings {
  readonly publicUrl: string;
  /** Of keys made from now on; those there are stay in use. */
  readonly algorithm: SigningAlgorithm;
}

export interface NotaryOptions {
  readonly database: Database;
  readonly ring: KeyRing;
  readonly settings: NotarySettings;
  readonly confirm: NotaryDeps["confirm"];
  readonly refusal: NotaryDeps["refusal"];
  readonly listable: NotaryDeps["listable"];
  readonly findPeople: NotaryDeps["findPeople"];
  readonly onSigned: NotaryDeps["onSigned"];
  readonly log: Log;
  readonly now: () => Date;
  readonly failpoint: Failpoint;
}

export interface Notary {
  readonly protocol: Protocol;
  readonly operations: readonly RestOperation[];
  readonly releaseTrust: ReleaseTrust;
  /** Verified now, as a client does it. */
  readonly readTrust: (gun: string) => Promise<OpenCollection>;
  /** Puts into the history of a tag's signatures that a policy allows or refuses it now. */
  readonly recordTurn: (sql: Sql, turn: TurnedTag) => Promise<void>;
  readonly signatureHistory: ReturnType<typeof openSignatureHistory>;
  /** What statements of promotions into the organization are signed with. */
  readonly openPromoteSigner: (sql: Sql, org: string, now: Date) => Promise<EnvelopeSigner>;
  readonly serverTargets: ServerTargets;
  /** Signs what is pushed under a rule. */
  readonly tagSigner: TagSigner;
  /** Which of `spkis` (hex SHA-256) this server signs with, or did: what hangs on them is attested by a server. */
  findServerKeys(spkis: readonly string[]): Promise<ReadonlySet<string>>;
  /** Seals every key with the key that seals now; returns how many were not. */
  reseal(): Promise<number>;
  /** Current files past 70 % of their life, by role; all delegations are `targets/`. */
  countOld(): Promise<ReadonlyMap<string, number>>;
  /** Ends background work. */
  close(): Promise<void>;
}

/** What the server signs by itself, each within the transaction `sql`: see server-target.ts. */
export interface ServerTargets {
  /** @throws OciError DENIED */
  issue(sql: Sql, target: ServerTarget): Promise<void>;
  /** @throws OciError DENIED */
  withdraw(sql: Sql, target: Omit<ServerTarget, "size">): Promise<void>;
  findObstacle(sql: Sql, query: ServerTargetQuery): Promise<Obstacle | undefined>;
}

/** The signing service, put together. */
export function openNotary({ ring, settings, ...rest }: NotaryOptions): Notary {
  const { database } = rest;
  const files = new MetadataStore(database);
  const keys = new ServerKeysStore(database, ring, settings.algorithm);
  const deps: NotaryDeps = {
    ...{ ...rest, files, keys },
    viewTrust: openTrustViews({ ...rest, files, keys }),
    signers: new OrgSignersStore(database, ring),
    foundingKeys: new FoundingKeysStore(database, ring),
    autoSignRules: new AutoSignRules(database),
    changes: new ChangefeedStore(database),
    signatures: new SignaturesStore(database),
    tags: openTagDigests(database),
    readRoot: openRootReader(),
    targetsReader: openTargetsReader(),
    authority: authorityOf(settings.publicUrl),
  };
  const findServerKeys = async (spkis: readonly string[]): Promise<ReadonlySet<string>> => {
    const stores = [deps.keys, deps.signers, deps.foundingKeys];
    return new Set((await Promise.all(stores.map((store) => store.among(spkis)))).flat());
  };
  return {
    protocol: notaryProtocol(deps),
    operations: [
      ...serverKeysOperations(deps),
      ...orgSignersOperations(deps),
      ...tagTrustOperations(deps),
      ...signaturesOperations(deps),
      ...autoSignOperations(deps),
      ...rootOperations(deps),
    ],
    releaseTrust: createReleaseTrust(deps),
    readTrust: openTrustCollections({ ...deps, findServerKeys }),
    recordTurn: insertTurn,
    signatureHistory: openSignatureHistory(deps),
    openPromoteSigner: async (sql, org, now) => toEnvelopeSigner(await deps.signers.open(sql, org, "promote", now)),
    serverTargets: {
      issue: (sql, target) => issueServerTarget(deps, sql, target),
      withdraw: (sql, target) => withdrawServerTarget(deps, sql, target),
      findObstacle: (sql, query) => findObstacle(deps, sql, query),
    },
    tagSigner: createTagSigner(deps),
    findServerKeys,
    reseal: async () => {
      const counts = [deps.keys.reseal(), deps.signers.reseal(), deps.foundingKeys.reseal()];
      return (await Promise.all(counts)).reduce((sum, one) => sum + one, 0);
    },
    countOld: () => deps.files.countOld(deps.now()),
    close: renewRegularly(deps),
  };
}
