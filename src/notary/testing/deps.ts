import { createLog } from "../../http/log.ts";
import { newKeyLine, parseKeyRing } from "../../keys/key-ring.ts";
import { AutoSignRules } from "../../storage/auto-sign-rules.ts";
import type { Database } from "../../storage/database.ts";
import { noFailpoint } from "../../storage/failpoint.ts";
import { openTagDigests } from "../../storage/tag-digests.ts";
import { ChangefeedStore } from "../changefeed-store.ts";
import type { NotaryDeps } from "../deps.ts";
import { FoundingKeysStore } from "../founding-keys-store.ts";
import { MetadataStore } from "../metadata-store.ts";
import { OrgSignersStore } from "../org-signers-store.ts";
import { ServerKeysStore } from "../server-keys-store.ts";
import { SignaturesStore } from "../signatures-store.ts";
import { openTargetsReader } from "../targets-reader.ts";
import { toStoredRoot } from "../tuf/update.ts";

/** What the signing service is made of, for tests below HTTP that move the clock. */
export function openTestDeps(database: Database, now: () => Date): NotaryDeps {
  const ring = parseKeyRing(newKeyLine("k1"));
  return {
    database,
    files: new MetadataStore(database),
    keys: new ServerKeysStore(database, ring, "ed25519"),
    signers: new OrgSignersStore(database, ring),
    foundingKeys: new FoundingKeysStore(database, ring),
    autoSignRules: new AutoSignRules(database),
    changes: new ChangefeedStore(database),
    readRoot: toStoredRoot,
    targetsReader: openTargetsReader(),
    signatures: new SignaturesStore(database),
    tags: openTagDigests(database),
    findPeople: async () => new Map(),
    onSigned: async () => undefined,
    viewTrust: async () => ({ tags: [], problem: undefined }),
    confirm: () => async () => undefined,
    refusal: (code, message) => new Error(`${code}: ${message}`),
    listable: async () => new Map(),
    authority: "registry.test",
    now,
    log: createLog({ level: "off" }),
    failpoint: noFailpoint,
  };
}
