import { describeError } from "../http/log.ts";
import type { Route } from "../http/route.ts";
import { type ActionTable, mergeActions, type Ordered, type Outcome, type Tell } from "./actions.ts";
import type { BridgeConfig } from "./bridge-config.ts";
import { type BridgeTools, type Core, closeCore, openCore } from "./core.ts";
import { BridgeError, toRefusal } from "./errors.ts";
import type { Feature } from "./feature.ts";
import { FEATURES } from "./features.ts";
import { openOrder } from "./order-signature.ts";
import { acceptOrder, type Order, type OrderAction, type OrderDeps, type Wanted } from "./orders.ts";
import { RefusalLog } from "./refusal-log.ts";

export interface Ask {
  readonly environment: string;
  readonly action: OrderAction;
  /** Compact JWS. */
  readonly order: string;
  /** Exactly as it came: the order is over these bytes. */
  readonly body: Uint8Array;
  /** DSSE envelope: past missing signatures. */
  readonly breakGlass: Uint8Array | undefined;
}

/** The whole bridge but its listener: who may order what is decided here, and features carry it out. */
export class Bridge {
  readonly #core: Core;
  readonly #features: readonly Feature[];
  readonly #actions: ActionTable;
  readonly #refusals: RefusalLog;

  private constructor(core: Core, features: readonly Feature[]) {
    this.#core = core;
    this.#features = features;
    this.#refusals = new RefusalLog(core);
    core.metrics.addGauge({
      ...{ name: "goldseal_bridge_strangers_refused", label: "code", read: async () => this.#refusals.ofStrangers },
      help: "Orders refused that no key of the policy document signed, since the start, by code",
    });
    this.#actions = mergeActions(features.map(({ actions = {} }) => actions));
  }

  /** @throws BridgeError STORE; Error for a file of the configuration that cannot be read */
  static async open(config: BridgeConfig, tools: BridgeTools): Promise<Bridge> {
    const core = await openCore(config, tools);
    return new Bridge(core, await Promise.all(FEATURES.map((open) => open(core))));
  }

  /** Those of the features. */
  get routes(): readonly Route[] {
    return this.#features.flatMap(({ routes = [] }) => routes);
  }

  /** What goes on by itself, from now on. */
  start(): void {
    const { log } = this.#core;
    for (const { start } of this.#features)
      start?.().catch((error: unknown) => log.error("bridge.start", describeError(error)));
  }

  /** Nothing is believed before the order is: not even that what came with it can be read. */
  async order(ask: Ask, tell: Tell): Promise<Outcome> {
    const cameMs = performance.now();
    const { environment, action, body: spec } = ask;
    const wanted = { environment, action, spec };
    const accepted = await this.#accept(wanted, ask.order).catch(toRefusal);
    const [outcome, user] =
      "kind" in accepted
        ? [accepted, undefined]
        : [
            await this.#carryOut({ ...accepted, breakGlass: ask.breakGlass, cameMs }, tell).catch(toRefusal),
            accepted.user,
          ];
    if (outcome.kind === "refuse")
      await this.#refusals.record(wanted, outcome, { user, signer: await this.#findSigner(ask.order) });
    return outcome;
  }

  /** Also of an order that does not count, and while the registry is away. */
  async #findSigner(jws: string): Promise<string | undefined> {
    const { last } = this.#core.policy;
    const found = last && (await openOrder(jws, last.document).catch(toRefusal));
    return found === undefined || "kind" in found ? undefined : found.signer.user;
  }

  async #accept(wanted: Wanted, jws: string): Promise<Order> {
    if (this.#actions[wanted.action] === undefined)
      throw new BridgeError("ORDER", `this bridge does not do ${wanted.action}`);
    return acceptOrder(await this.#orderDeps(), jws, wanted);
  }

  async #carryOut(ordered: Ordered, tell: Tell): Promise<Outcome> {
    const handler = this.#actions[ordered.action];
    if (handler === undefined) throw new Error(`an order for ${ordered.action} was accepted that nobody carries out`);
    return handler(ordered, ordered.spec, tell);
  }

  /** Why it could not deploy now, a sentence each. */
  async findFaults(): Promise<string[]> {
    const { decisions, swarm, policy } = this.#core;
    const checks: (() => unknown)[] = [
      () => decisions.clock.read(),
      () => swarm.requireManager(),
      async () => {
        const { document } = await policy.fetch();
        if (document.expiresAt <= decisions.clock.read())
          throw new BridgeError("POLICY", `the policy expired at ${document.expiresAt.toISOString()}`);
      },
    ];
    const found = await Promise.all(checks.map(faultOf));
    const more = await Promise.all(this.#features.map(({ findFaults }) => findFaults?.() ?? []));
    return [...found, ...more].flat();
  }

  /** What an engine was asked and has not answered stays open, for the next start to look after. */
  async close(): Promise<void> {
    const closing = Promise.all(this.#features.map(({ close }) => close?.()));
    this.#core.engines.close();
    await closing;
    await closeCore(this.#core);
  }

  async #orderDeps(): Promise<OrderDeps> {
    const { policy, replays, decisions } = this.#core;
    const { document } = await policy.fetch();
    return { policy: document, replays, now: decisions.clock.read() };
  }
}

async function faultOf(check: () => unknown): Promise<string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    return [toRefusal(error).reason];
  }
}
