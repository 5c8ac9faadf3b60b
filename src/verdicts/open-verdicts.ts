import type { Log } from "../http/log.ts";
import type { RestOperation } from "../http/rest-operation.ts";
import type { BlobStore } from "../storage/blob-store.ts";
import { openTagDigests } from "../storage/tag-digests.ts";
import { type CheckPull, createCheckPull, type PullDeps } from "./check-pull.ts";
import { createIsContent } from "./content.ts";
import { openSmallBlobs } from "./cosign-reader.ts";
import type { EvidenceDeps } from "./deps.ts";
import { createFindSigners, type FindSigners } from "./find-signers.ts";
import type { JudgeImage } from "./image.ts";
import { createJudgeImage } from "./judge-image.ts";
import { PolicyJudge } from "./judge-policies.ts";
import { createJudgePromotion, type JudgePromotion } from "./judge-promotion.ts";
import { type PoliciesApiDeps, policiesOperations } from "./policies-api.ts";
import { PoliciesStore } from "./policies-store.ts";
import { VerdictRounds } from "./rounds.ts";
import { simulateOperations } from "./simulate-api.ts";
import { type VerdictsApiDeps, verdictsOperations } from "./verdicts-api.ts";
import { type RecordTurn, VerdictsStore } from "./verdicts-store.ts";
import { WatchStore } from "./watch-store.ts";

export interface VerdictsOptions
  extends Omit<EvidenceDeps, "readBlob">,
    Omit<PoliciesApiDeps, "policies">,
    Pick<VerdictsApiDeps, "listable">,
    Pick<PullDeps, "maySign" | "recordWarning"> {
  readonly blobs: Pick<BlobStore, "open">;
  readonly recordTurn: RecordTurn;
  readonly log: Log;
}

export interface Verdicts {
  /** The one function that judges an image; for promotion too. */
  readonly judgeImage: JudgeImage;
  /** What a promotion, and the policies of its destination, make of an image. */
  readonly judgePromotion: JudgePromotion;
  /** For the history of an image. */
  readonly findSigners: FindSigners;
  readonly checkPull: CheckPull;
  readonly operations: readonly RestOperation[];
  /** Begins background work, once the other rooms are open. */
  begin(): void;
  /** Ends it. */
  close(): Promise<void>;
}

/** Verdicts and the policies that ask for them, put together. */
export function openVerdicts({ blobs, recordTurn, ...options }: VerdictsOptions): Verdicts {
  const { database } = options;
  const readBlob = openSmallBlobs(blobs);
  const stores = {
    policies: new PoliciesStore(database),
    watch: new WatchStore(database),
    verdicts: new VerdictsStore(database, recordTurn),
    tags: openTagDigests(database),
  };
  const judge = new PolicyJudge({ ...options, ...stores, readBlob });
  const deps = { ...options, ...stores, judge, isContent: createIsContent(database, readBlob) };
  let rounds: VerdictRounds | undefined;
  const judgeImage = createJudgeImage({ ...options, readBlob });
  return {
    judgeImage,
    judgePromotion: createJudgePromotion(judgeImage, judge),
    findSigners: createFindSigners({ ...options, readBlob }, judge),
    checkPull: createCheckPull(deps),
    operations: [
      ...policiesOperations(deps),
      ...simulateOperations({ ...deps, judgeImage }),
      ...verdictsOperations(deps),
    ],
    begin: () => {
      rounds = new VerdictRounds(deps);
    },
    close: async () => rounds?.close(),
  };
}
