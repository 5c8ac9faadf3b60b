import { describeError } from "../http/log.ts";
import type { PromotionDeps } from "./deps.ts";
import { PromotionsStore } from "./promotions-store.ts";
import { settle } from "./settle.ts";
import { workOff } from "./work-off.ts";

const everyMs = 1_000;
/** What waits for people is looked at now and then: it expires, or what kept it from being done may be gone. */
const settleEveryMs = 30_000;

/** Every process works off what is due. Returns how to stop, which waits for what is under way. */
export function workRegularly(deps: PromotionDeps): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  let isBusy = false;
  let isStopping = false;
  let settledAt = 0;
  let isFailing = false;
  const round = async (): Promise<void> => {
    isBusy = true;
    try {
      while (!isStopping && (await workOff(deps))) isFailing = false;
      if (Date.now() - settledAt < settleEveryMs) return;
      settledAt = Date.now();
      for (const id of await new PromotionsStore(deps.database).listPending())
        await settle(deps, id).catch((error: unknown) =>
          deps.log.warn("promotion.not-settled", { promotion: id, ...describeError(error) }),
        );
      isFailing = false;
    } catch (error) {
      // A database that is away would be in the log each second.
      if (!isFailing) deps.log.error("promotion.failed", describeError(error));
      isFailing = true;
    } finally {
      isBusy = false;
    }
  };
  const timer = setInterval(() => {
    if (!isBusy) running = round();
  }, everyMs);
  return () => {
    isStopping = true;
    clearInterval(timer);
    return running;
  };
}
