import type { RestOperation } from "../http/rest-operation.ts";
import type { Digest } from "../oci/digest.ts";
import type { Sql } from "../storage/database.ts";
import type { Pushed } from "../storage/manifest-store.ts";
import { openAttachedHistory } from "./attached-history.ts";
import type { PromotionDeps } from "./deps.ts";
import { workRegularly } from "./jobs.ts";
import { notePush } from "./on-push.ts";
import { openOwnHistory } from "./own-history.ts";
import { enqueueSigned } from "./queue-store.ts";
import { promotionOperations } from "./routes.ts";

export interface OpenPromotion {
  readonly operations: readonly RestOperation[];
  /** In the transaction of every push. */
  readonly onPush: (sql: Sql, pushed: Pushed) => Promise<void>;
  /** In the transaction that brings signatures of these images. */
  readonly onSigned: (sql: Sql, digests: readonly Digest[]) => Promise<void>;
  /** Begins background work. Returns how to end it. */
  work(): () => Promise<void>;
}

/** Promotion, put together. */
export function openPromotion(parts: PromotionDeps): OpenPromotion {
  const deps = {
    ...parts,
    history: [openOwnHistory(parts.database), openAttachedHistory(parts.database, parts.findSigners), ...parts.history],
  };
  return {
    operations: promotionOperations(deps),
    onPush: notePush,
    onSigned: enqueueSigned,
    work: () => workRegularly(deps),
  };
}
