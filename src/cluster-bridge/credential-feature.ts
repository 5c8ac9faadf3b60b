import { describeError } from "../http/log.ts";
import type { Core } from "./core.ts";
import type { OpenFeature } from "./feature.ts";
import type { ServiceOfEnvironment } from "./managed-service.ts";
import { keyOf } from "./pull-states.ts";

const TEND_MS = 15_000;

/** What nodes pull with, and what the registry keeps for them. */
export const openCredentials: OpenFeature = (core) => {
  const { pulls, report, metrics } = core;
  metrics.addGauge({
    name: "goldseal_bridge_pull_secrets",
    help: "Services whose nodes pull with a secret, and of those the ones that are not renewed (failing) or cannot pull (expired)",
    label: "state",
    read: async () => pulls.count(),
  });
  let stop = async (): Promise<void> => undefined;
  return {
    start: async () => {
      stop = tendRegularly(core);
    },
    close: () => stop(),
    findFaults: async () => [...pulls.findFaults(), ...report.findFaults()],
  };
};

/** Returns how to end it, which waits for what is under way. */
function tendRegularly({ pulls, deployer, report, log }: Core): () => Promise<void> {
  const underWay = new Set<Promise<void>>();
  /** Services that wait for their turn: one that is being deployed keeps it for minutes. */
  const waiting = new Set<string>();
  let isOver = false;
  const track = async (work: Promise<void>): Promise<void> => {
    const done = work.catch((error: unknown) => log.error("bridge.credentials", describeError(error)));
    underWay.add(done);
    await done;
    underWay.delete(done);
  };
  const tend = (key: ServiceOfEnvironment): void => {
    const name = keyOf(key);
    if (waiting.has(name)) return;
    waiting.add(name);
    const act = async () => (isOver ? undefined : track(pulls.tend(key)));
    void deployer.exclusively(key.service, act).finally(() => waiting.delete(name));
  };
  const round = (): void => {
    for (const key of pulls.due()) tend(key);
    void track(report.refresh());
  };
  round();
  const timer = setInterval(round, TEND_MS);
  return async () => {
    isOver = true;
    clearInterval(timer);
    await Promise.all(underWay);
  };
}
