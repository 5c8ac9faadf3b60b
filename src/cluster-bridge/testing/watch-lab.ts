/** A bridge's watch between one registry and one engine, which looks all the time, and whose clock a test moves. */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { createLog } from "../../http/log.ts";
import type { Outcome } from "../actions.ts";
import { type Core, closeCore, openCore } from "../core.ts";
import { parseServiceSpec } from "../service-spec.ts";
import type { Watch } from "../watch/watch.ts";
import { composeWatch } from "../watch-feature.ts";
import { type BridgeLab, useBridgeLab } from "./bridge-lab.ts";
import { type EngineContainer, EngineSimulator } from "./engine-simulator.ts";

const FAST = { lookMs: 30, calmMs: 10, judgeMs: 60, soonMs: 20 };
const PATIENCE_MS = 12_000;

export class WatchLab {
  readonly lab: BridgeLab;
  readonly engine: EngineSimulator;
  readonly core: Core;
  #watch: Watch;

  constructor(lab: BridgeLab, engine: EngineSimulator, core: Core) {
    [this.lab, this.engine, this.core] = [lab, engine, core];
    this.#watch = this.#start();
  }

  #start(): Watch {
    const watch = composeWatch(this.core, { pace: FAST, elapsedMs: () => this.lab.now.getTime() });
    watch.start();
    return watch;
  }

  /** The next watch knows what is on disk. */
  async restartWatch(): Promise<void> {
    await this.#watch.close();
    this.#watch = this.#start();
  }

  async close(): Promise<void> {
    await this.#watch.close();
    await closeCore(this.core);
  }

  pin(digest: string): string {
    return `${this.lab.registry.authority}/ops/app@${digest}`;
  }

  /** As an order of alice's would. */
  async deploy(digest: string, more: object = {}): Promise<Outcome> {
    const pinned = this.pin(digest);
    const spec = JSON.stringify({ name: "web", image: pinned, ...more });
    const parsed = parseServiceSpec(Buffer.from(spec));
    const plan = { environment: "prod", service: "web", pinned, spec, user: "alice", because: "alice", parsed };
    return this.core.deployer.deploy(plan, () => undefined);
  }

  /** Somebody starts it on the node itself. */
  run(image: string, labels: EngineContainer["Labels"] = {}): string {
    const Id = randomUUID();
    this.engine.containers.set(Id, { Id, Name: "/stray", image, Labels: labels });
    return Id;
  }

  /** What the watch says of the service, with the reason. */
  get service(): string {
    const [found] = this.core.watch.states().services;
    return found === undefined ? "none" : `${found.state}: ${found.reason}`;
  }

  /** States of containers, each once. */
  get containers(): string[] {
    return [...new Set(this.core.watch.states().containers.map(({ state }) => state))].sort();
  }

  records(...events: readonly string[]): Record<string, unknown>[] {
    return this.core.journal.records.filter(({ event }) => events.includes(String(event)));
  }

  /** Until it is so; meanwhile the clock runs, twenty times as fast as it should. */
  async until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    const endsMs = performance.now() + PATIENCE_MS;
    while (!(await isSo())) {
      if (performance.now() > endsMs)
        throw new Error(`${this.service}; ${JSON.stringify([this.containers, this.core.journal.records])}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      this.lab.now = new Date(this.lab.now.getTime() + 400);
    }
  }

  /** So many looks and rounds later. */
  async later(rounds = 5): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const before = this.core.watch.states();
      await this.until(() => this.core.watch.states() !== before);
    }
  }
}

/** A new one for every test of a file. */
export function useWatchLab(): () => WatchLab {
  const bridgeLab = useBridgeLab();
  let engine: EngineSimulator;
  let lab: WatchLab;
  beforeAll(async () => {
    engine = await EngineSimulator.start();
  });
  afterAll(() => engine.stop());
  beforeEach(async () => {
    engine.reset();
    const tools = { now: () => bridgeLab().now, failpoint: () => undefined, log: createLog({ level: "off" }) };
    const core = await openCore(await bridgeLab().config(engine), { ...tools, metrics: { addGauge: () => undefined } });
    lab = new WatchLab(bridgeLab(), engine, core);
  });
  afterEach(() => lab.close());
  return () => lab;
}
