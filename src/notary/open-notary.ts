import type { Log } from "../http/log.ts";
import type { RestOperation } from "../http/rest-operation.ts";
import type { Protocol } from "../http/route.ts";
import type { KeyRing } from "../keys/key-ring.ts";
import type { SigningAlgorithm } from "../keys/signing-key.ts";
import { authorityOf } from "../oci/gun.ts";
import type { Database, Sql } from "../storage/database.ts";
import type { Failpoint } from "../storage/failpoint.ts";
import { openTagDigests } from "../storage/tag-digests.ts";
import type { EnvelopeSigner } from "../trust/dsse.ts";
import { ChangefeedStore } from "./changefeed-store.ts";
import type { NotaryDeps } from "./deps.ts";
import { toEnvelopeSigner } from "./envelope-signer.ts";
import { MetadataStore } from "./metadata-store.ts";
import { orgSignersOperations } from "./org-signers-api.ts";
import { OrgSignersStore } from "./org-signers-store.ts";
import { createReleaseTrust, type ReleaseTrust } from "./release-trust.ts";
import { renewRegularly } from "./renewal-job.ts";
import { openRootReader } from "./root-reader.ts";
import { notaryProtocol } from "./routes.ts";
import { serverKeysOperations } from "./server-keys-api.ts";
import { ServerKeysStore } from "./server-keys-store.ts";
import { openSignatureHistory } from "./signature-history.ts";
import { signaturesOperations } from "./signatures-api.ts";
import { SignaturesStore } from "./signatures-store.ts";
import { tagTrustOperations } from "./tag-trust-api.ts";
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
  readonly signatureHistory: ReturnType<typeof openSignatureHistory>;
  /** What statements of promotions into the organization are signed with. */
  readonly openPromoteSigner: (sql: Sql, org: string, now: Date) => Promise<EnvelopeSigner>;
  /** Seals every key with the key that seals now; returns how many were not. */
  reseal(): Promise<number>;
  /** Current files past 70 % of their life, by role; all delegations are `targets/`. */
  countOld(): Promise<ReadonlyMap<string, number>>;
  /** Ends background work. */
  close(): Promise<void>;
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
    changes: new ChangefeedStore(database),
    signatures: new SignaturesStore(database),
    tags: openTagDigests(database),
    readRoot: openRootReader(),
    authority: authorityOf(settings.publicUrl),
  };
  return {
    protocol: notaryProtocol(deps),
    operations: [
      ...serverKeysOperations(deps),
      ...orgSignersOperations(deps),
      ...tagTrustOperations(deps),
      ...signaturesOperations(deps),
    ],
    releaseTrust: createReleaseTrust(deps),
    signatureHistory: openSignatureHistory(deps),
    openPromoteSigner: async (sql, org, now) => toEnvelopeSigner(await deps.signers.open(sql, org, "promote", now)),
    reseal: async () => (await deps.keys.reseal()) + (await deps.signers.reseal()),
    countOld: () => deps.files.countOld(deps.now()),
    close: renewRegularly(deps),
  };
}
