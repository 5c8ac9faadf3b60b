import type { RestOperation } from "../http/rest-operation.ts";
import { decisionsOperations } from "./decisions-api.ts";
import type { PromotionDeps } from "./deps.ts";
import { historyOperations } from "./history-api.ts";
import { immutableTagsOperations } from "./immutable-tags-api.ts";
import { policiesOperations } from "./policies-api.ts";
import { promotionsOperations } from "./promotions-api.ts";
import { reverseOperations } from "./reverse-api.ts";

/** The REST API of this room, by noun. */
export const promotionOperations = (deps: PromotionDeps): RestOperation[] => [
  ...promotionsOperations(deps),
  ...decisionsOperations(deps),
  ...reverseOperations(deps),
  ...policiesOperations(deps),
  ...historyOperations(deps),
  ...immutableTagsOperations(deps),
];
