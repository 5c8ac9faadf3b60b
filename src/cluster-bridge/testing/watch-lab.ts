/** A bridge's watch between one registry and one engine, which looks all the time, and whose clock a test moves. */
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { createLog } from "../../http/log.ts";
import { drop, type Loose, put } from "../../notary/tuf/testing/loose.ts";
import type { Repository } from "../../notary/tuf/testing/repository.ts";
import { digestOf } from "../../oci/digest.ts";
import type { Artifact } from "../../trust/subject.ts";
import { image, other } from "../../trust/testing/world.ts";
import type { Outcome } from "../actions.ts";
import { type Core, closeCore, openCore } from "../core.ts";
import { parseServiceSpec } from "../service-spec.ts";
import type { Watch } from "../watch/watch.ts";
import { composeWatch, type WatchTools } from "../watch-feature.ts";
import { type BridgeLab, useBridgeLab } from "./bridge-lab.ts";
import { type EngineContainer, EngineSimulator } from "./engine-simulator.ts";
import { QUICK } from "./order-lab.ts";

const FAST = { lookMs: 30, calmMs: 10, judgeMs: 60, soonMs: 20 };
const PATIENCE_MS = 60_000;

export class WatchLab {
  readonly lab: BridgeLab;
  readonly engine: EngineSimulator;
  readonly core: Core;
  #watch: Watch;
  #repository: Repository | undefined;

  constructor(lab: BridgeLab, engine: EngineSimulator, core: Core) {
    [this.lab, this.engine, this.core] = [lab, engine, core];
    this.#watch = this.#start();
  }

  #start(tools: WatchTools = {}): Watch {
    const watch = composeWatch(this.core, { pace: FAST, elapsedMs: () => this.lab.now.getTime(), ...tools });
    watch.start();
    return watch;
  }

  /** The next watch knows what is on disk. */
  async restartWatch(tools?: WatchTools): Promise<void> {
    await this.#watch.close();
    this.#watch = this.#start(tools);
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
    const spec = JSON.stringify({ name: "web", image: pinned, update: QUICK, ...more });
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

  /** Two images are signed, as `1` and `2`, and the node's engine has them as they are. */
  signBoth(): void {
    this.#repository = this.lab.found("ops/app");
    for (const [tag, what, config] of [
      ["1", image, "image"],
      ["2", other, "other"],
    ] as const) {
      this.lab.sign(this.#repository, tag, what);
      this.engine.imageIds.set(this.pin(what.digest), digestOf(config));
    }
  }

  /** As alice does it. */
  sign(tag: string, what: Artifact): void {
    if (this.#repository !== undefined) this.lab.sign(this.#repository, tag, what);
  }

  revoke(tag: string): void {
    this.#repository?.publish([this.#repository.part("targets/a", drop(["targets", tag]))]);
  }

  /** The next policy document, in which `prod` says this too. */
  setPolicy(own: Loose): void {
    this.lab.setPolicy((document) => {
      document.version = (document.version as number) + 1;
      Object.assign((document.environments as Record<string, Loose>).prod as Loose, own);
    });
  }

  /** As a manager's own socket lets anybody do it. */
  changeByHand(change: (spec: Loose) => void): void {
    const [held] = [...this.engine.services.values()];
    if (held === undefined) throw new Error("no service");
    const spec = structuredClone(held.Spec);
    change(spec as unknown as Loose);
    this.engine.services.set(held.ID, { ...held, Version: { Index: held.Version.Index + 1 }, Spec: spec });
  }

  setImage(pinned: string): void {
    this.changeByHand(put(["TaskTemplate", "ContainerSpec", "Image"], pinned));
  }

  /** What the bridge did without an order, and what came of it. */
  get reacted(): string[] {
    return this.records("reacted").map(({ action, outcome }) => `${action}: ${outcome}`);
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

  /** Until it is so; meanwhile the clock runs, twenty times as fast as it should, or by so much every 20 ms. */
  async until(isSo: () => boolean | Promise<boolean>, tickMs = 400): Promise<void> {
    const endsMs = performance.now() + PATIENCE_MS;
    while (!(await isSo())) {
      if (performance.now() > endsMs)
        throw new Error(`${this.service}; ${JSON.stringify([this.containers, this.core.journal.records])}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      this.pass(tickMs);
    }
  }

  /** The clock goes on. */
  pass(ms: number): void {
    this.lab.now = new Date(this.lab.now.getTime() + ms);
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
    lab.signBoth();
  });
  afterEach(() => lab.close());
  return () => lab;
}
