import { newKeyLine, parseKeyRing } from "../../keys/key-ring.ts";
import { MetadataStore } from "../../notary/metadata-store.ts";
import { OrgSignersStore } from "../../notary/org-signers-store.ts";
import { ServerKeysStore } from "../../notary/server-keys-store.ts";
import { AUTHORITY } from "../../notary/testing/signer.ts";
import { openTrustCollections } from "../../notary/trust-collections.ts";
import { findPeopleWhoSign } from "../../orgs/people-who-sign.ts";
import { openBlobs } from "../../storage/open-blobs.ts";
import { openSmallBlobs } from "../cosign-reader.ts";
import type { EvidenceDeps } from "../deps.ts";
import { createJudgeImage } from "../judge-image.ts";
import { PolicyJudge } from "../judge-policies.ts";
import { PoliciesStore } from "../policies-store.ts";
import { VerdictsStore } from "../verdicts-store.ts";
import { WatchStore } from "../watch-store.ts";
import type { Lab } from "./lab.ts";

/** A judge of its own, on the lab's database and bytes. */
export async function openJudge({ app: { database, blobsFolder } }: Lab, now = () => new Date()) {
  const parts = { openDatabase: () => database, s3Checksums: true, failpoint: async () => undefined, now };
  const { blobs } = await openBlobs({ kind: "fs", root: blobsFolder }, parts);
  const ring = parseKeyRing(newKeyLine("test"));
  const keys = new ServerKeysStore(database, ring, "ecdsa");
  const signers = new OrgSignersStore(database, ring);
  const findServerKeys = async (spkis: readonly string[]) =>
    new Set([...(await keys.among(spkis)), ...(await signers.among(spkis))]);
  const deps: EvidenceDeps = {
    ...{ database, authority: AUTHORITY, now, readBlob: openSmallBlobs(blobs) },
    readTrust: openTrustCollections({ database, keys, now, files: new MetadataStore(database), findServerKeys }),
    findPeople: (who) => findPeopleWhoSign(database, who),
  };
  const stores = { policies: new PoliciesStore(database), watch: new WatchStore(database) };
  const verdicts = new VerdictsStore(database, async () => undefined);
  const judge = new PolicyJudge({ ...deps, ...stores, verdicts });
  return { judgeImage: createJudgeImage(deps), judge, verdicts, watch: stores.watch };
}
