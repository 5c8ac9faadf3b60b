import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { BridgeClock } from "./bridge-clock.ts";
import type { BridgeConfig } from "./bridge-config.ts";
import { Deployer, type OnProgress, type Outcome } from "./deployer.ts";
import { EngineClient } from "./engine-client.ts";
import { BridgeError, toRefusal } from "./errors.ts";
import type { PassPoint } from "./failpoint.ts";
import { toPinned } from "./image-reference.ts";
import { Journal } from "./journal.ts";
import { acceptOrder, type OrderDeps } from "./orders.ts";
import { PolicyKeeper } from "./policy-keeper.ts";
import { RegistryClient } from "./registry-client.ts";
import { ReplayStore } from "./replay-store.ts";
import { parseServiceSpec } from "./service-spec.ts";
import { type Decision, type DecisionDeps, resolveSignedDigest } from "./signed-digest.ts";
import { requireWithin } from "./spec-limits.ts";
import { Swarm } from "./swarm.ts";
import { TrustReader } from "./trust-reader.ts";
import { TrustStore } from "./trust-store.ts";

const REGISTRY_TIMEOUT_MS = 10_000;
const DEADLINE_MS = 300_000;

export interface DeployAsk {
  readonly environment: string;
  /** Compact JWS. */
  readonly order: string;
  /** Exactly as it came: the order is over these bytes. */
  readonly spec: Uint8Array;
}

export interface BridgeTools {
  readonly now: () => Date;
  readonly failpoint: PassPoint;
}

/** The whole bridge but its listener. */
export class Bridge {
  readonly #decisions: DecisionDeps;
  readonly #policy: PolicyKeeper;
  readonly #registry: RegistryClient;
  readonly #replays: ReplayStore;
  readonly #journal: Journal;
  readonly #swarm: Swarm;
  readonly #deployer: Deployer;
  readonly #failpoint: PassPoint;

  private constructor(parts: {
    readonly decisions: DecisionDeps;
    readonly policy: PolicyKeeper;
    readonly registry: RegistryClient;
    readonly replays: ReplayStore;
    readonly journal: Journal;
    readonly swarm: Swarm;
    readonly failpoint: PassPoint;
  }) {
    const { decisions, policy, registry, replays, journal, swarm, failpoint } = parts;
    this.#failpoint = failpoint;
    [this.#decisions, this.#policy, this.#registry] = [decisions, policy, registry];
    [this.#replays, this.#journal, this.#swarm] = [replays, journal, swarm];
    const resolve = (image: string, environment: string): Promise<Decision> => this.resolve(image, environment);
    this.#deployer = new Deployer({ swarm, journal, resolve, newId: randomUUID, failpoint, deadlineMs: DEADLINE_MS });
  }

  /** @throws BridgeError STORE; Error for a file of the configuration that cannot be read */
  static async open(config: BridgeConfig, { now, failpoint }: BridgeTools): Promise<Bridge> {
    const { authority, store, policyKeys, pins } = config;
    const registry = new RegistryClient({
      origin: config.registry,
      timeoutMs: REGISTRY_TIMEOUT_MS,
      ca: config.caFile === undefined ? undefined : await readFile(config.caFile, "utf8"),
      account: config.account && {
        name: config.account.name,
        password: (await readFile(config.account.passwordFile, "utf8")).replace(/\r?\n$/, ""),
      },
    });
    const policy = await PolicyKeeper.open({ store, registry, ...policyKeys });
    const trust = new TrustReader({ authority, pins, registry, store: new TrustStore(store) });
    const decisions = { authority, clock: await BridgeClock.open(store, now), policy, trust, registry };
    const [replays, journal] = [await ReplayStore.open(store), await Journal.open(store, now)];
    return new Bridge({
      ...{ decisions, policy, registry, replays, journal, failpoint },
      swarm: new Swarm(await EngineClient.open(config.engine)),
    });
  }

  resolve(image: string, environment: string): Promise<Decision> {
    return resolveSignedDigest(this.#decisions, image, environment);
  }

  /** What was begun before the bridge was killed. */
  recover(): Promise<void> {
    return this.#deployer.recover();
  }

  /** Nothing is believed before the order is: not even that the specification can be read. */
  async deploy({ environment, order, spec }: DeployAsk, onProgress: OnProgress): Promise<Outcome> {
    try {
      const accepted = await acceptOrder(await this.#orderDeps(), order, {
        environment,
        action: "service.deploy",
        spec,
      });
      const parsed = parseServiceSpec(spec);
      requireWithin(parsed, accepted.rules.specLimits, environment);
      const decision = await this.resolve(parsed.image, environment);
      if (decision.kind === "refuse") return decision;
      this.#failpoint("bridge.afterVerify");
      const { authority } = this.#decisions;
      const pinned = toPinned({ authority, repository: decision.repository }, decision.digest);
      const because = decision.verdict.rows.flatMap(({ who }) => who).join(", ");
      const plan = {
        environment,
        service: parsed.name,
        pinned,
        spec: Buffer.from(spec).toString(),
        user: accepted.user,
      };
      return await this.#deployer.deploy({ ...plan, because, parsed }, onProgress);
    } catch (error) {
      return toRefusal(error);
    }
  }

  /** Why it could not deploy now, a sentence each. */
  async findFaults(): Promise<string[]> {
    const checks: (() => unknown)[] = [
      () => this.#decisions.clock.read(),
      () => this.#swarm.requireManager(),
      async () => {
        const { document } = await this.#policy.fetch();
        if (document.expiresAt <= this.#decisions.clock.read())
          throw new BridgeError("POLICY", `the policy expired at ${document.expiresAt.toISOString()}`);
      },
    ];
    const found = await Promise.all(
      checks.map(async (check) => {
        try {
          await check();
          return [];
        } catch (error) {
          return [toRefusal(error).reason];
        }
      }),
    );
    return found.flat();
  }

  async close(): Promise<void> {
    this.#registry.close();
    await Promise.all([this.#replays.close(), this.#journal.close()]);
  }

  async #orderDeps(): Promise<OrderDeps> {
    const { document } = await this.#policy.fetch();
    return { policy: document, replays: this.#replays, now: this.#decisions.clock.read() };
  }
}
