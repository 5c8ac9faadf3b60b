import { setTimeout as delay } from "node:timers/promises";
import { describeError, type Log } from "../../http/log.ts";
import type { SignedPolicy } from "../../trust/policy.ts";
import type { ClusterStates, ContainerState, NodeState, ServiceState } from "../cluster-states.ts";
import { toRefusal } from "../errors.ts";
import type { Deployment, Ledger } from "../ledger.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import type { PolicyKeeper } from "../policy-keeper.ts";
import type { Alarms } from "./alarms.ts";
import { type JudgedContainer, type JudgedService, judgeSight } from "./judging.ts";
import type { Lookout, Sight } from "./lookout.ts";
import { keyOf } from "./node-looks.ts";
import type { Reactor } from "./reactor.ts";
import type { Placed, Standings } from "./standings.ts";

export interface WatchDeps {
  readonly lookout: Pick<Lookout, "look">;
  readonly standings: Standings;
  readonly ledger: Ledger;
  readonly policy: Pick<PolicyKeeper, "fetch">;
  readonly states: ClusterStates;
  readonly alarms: Alarms;
  readonly reactor: Reactor;
  readonly now: () => Date;
  /** Milliseconds since some moment, however the clock is set meanwhile. */
  readonly elapsedMs: () => number;
  readonly log: Log;
  readonly pace?: Pace;
}

/** In milliseconds. */
export interface Pace {
  /** From the end of one look to the next; what a manager tells of comes sooner. */
  readonly lookMs: number;
  /** At least between two looks. */
  readonly calmMs: number;
  /** From the end of one round of judging to the next; what was not judged yet comes sooner. */
  readonly judgeMs: number;
  /** At least between two rounds. */
  readonly soonMs: number;
}

/** What there is to know of one moment. */
export interface Judged {
  readonly services: readonly (JudgedService & { readonly since: Date })[];
  readonly containers: readonly (JudgedContainer & { readonly since: Date })[];
  readonly nodes: readonly (NodeState & { readonly since: Date })[];
}

interface Since {
  readonly state: string;
  readonly since: Date;
  /** The end of the last look in which it was so. */
  readonly lookedAt: Date;
}

const PACE: Pace = { lookMs: 2_000, calmMs: 300, judgeMs: 4_000, soonMs: 1_000 };
/** A round that takes long makes the next one later: so much of the time it may take. */
const EASE = 4;
const CLOSE_MS = 2_000;
const NEW_MS = 5_000;
const NEVER = new Promise<void>(() => undefined);

/**
 * Looks at what runs and judges it, for as long as the bridge runs: one loop looks, the other reads policy and trust data.
 * @see docs/decisions/0051
 */
export class Watch {
  readonly #deps: WatchDeps;
  readonly #pace: Pace;
  readonly #ended = new AbortController();
  readonly #members = new Map<string, { readonly id: string; readonly name: string }>();
  readonly #firstSeenMs = new Map<string, number>();
  readonly #concluding = new OneAtATime();
  #since = new Map<string, Since>();
  #sight: (Sight & { readonly at: Date }) | undefined;
  #policy: SignedPolicy | undefined;
  #inForceBefore = new Map<string, readonly Deployment[]>();
  #wakeLook = Promise.withResolvers<void>();
  #wakeJudge = Promise.withResolvers<void>();
  #loops: Promise<unknown> = Promise.resolve();

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#pace = deps.pace ?? PACE;
  }

  start(): void {
    this.#loops = Promise.all([
      this.#repeat("watch.look", () => this.#look()),
      this.#repeat("watch.judge", () => this.#judge()),
    ]);
  }

  /** Something happened in the cluster. */
  wake(): void {
    this.#wakeLook.resolve();
  }

  async close(): Promise<void> {
    this.#deps.reactor.close();
    this.#ended.abort();
    // An engine that is silent is not waited for.
    await Promise.race([this.#loops, delay(CLOSE_MS, undefined, { ref: false })]);
  }

  async #repeat(name: string, act: () => Promise<void>): Promise<void> {
    while (!this.#ended.signal.aborted) {
      await act().catch(async (error: unknown) => {
        if (this.#ended.signal.aborted) return;
        this.#deps.log.error(name, describeError(error));
        await this.#pause(this.#pace.lookMs, NEVER);
      });
    }
  }

  async #look(): Promise<void> {
    const { ledger, lookout, now, log } = this.#deps;
    this.#wakeLook = Promise.withResolvers();
    this.#inForceBefore = new Map(ledger.services().map((name) => [name, ledger.inForce(name)]));
    try {
      this.#sight = { ...(await lookout.look()), at: now() };
      this.#remember(this.#sight);
      await this.#conclude();
      if (this.#placed().some((placed) => this.#deps.standings.of(placed).rounds === 0)) this.#wakeJudge.resolve();
    } catch (error) {
      log.warn("watch.look", { reason: toRefusal(error).reason });
    }
    const { calmMs, lookMs } = this.#pace;
    await this.#pause(calmMs, NEVER);
    await this.#pause(Math.min(lookMs - calmMs, this.#untilOldMs()), this.#wakeLook.promise);
  }

  /** Until the first of those that no manager knows of is new no more: then it is said, not up to a pause later. */
  #untilOldMs(): number {
    const nowMs = this.#deps.elapsedMs();
    const strangers = [...this.#firstSeenMs].filter(([key]) => !this.#members.has(key));
    const left = strangers.map(([, seenMs]) => seenMs + NEW_MS - nowMs).filter((ms) => ms > 0);
    return Math.min(...left);
  }

  async #judge(): Promise<void> {
    const { policy, standings, log } = this.#deps;
    this.#wakeJudge = Promise.withResolvers();
    const begunMs = performance.now();
    try {
      this.#policy = await policy.fetch(begunMs);
    } catch (error) {
      this.#policy = undefined;
      log.warn("watch.policy", { reason: toRefusal(error).reason });
    }
    await standings.judge(this.#placed(), begunMs);
    await this.#conclude();
    const tookMs = performance.now() - begunMs;
    const { soonMs, judgeMs } = this.#pace;
    await this.#pause(soonMs, NEVER);
    await this.#pause(Math.max(judgeMs - soonMs, EASE * tookMs), this.#wakeJudge.promise);
  }

  /** Who belongs to what, as long as it runs. */
  #remember({ tasks, services, containers }: Sight): void {
    const names = new Map(services.map(({ id, name }) => [id, name]));
    const nowMs = this.#deps.elapsedMs();
    const keys = new Set(containers.map(({ node, id }) => keyOf(node, id)));
    for (const key of keys) {
      const id = tasks.get(key);
      const name = id === undefined ? undefined : names.get(id);
      if (id !== undefined && name !== undefined) this.#members.set(key, { id, name });
      if (!this.#firstSeenMs.has(key)) this.#firstSeenMs.set(key, nowMs);
    }
    for (const map of [this.#members, this.#firstSeenMs])
      for (const key of map.keys()) if (!keys.has(key)) map.delete(key);
  }

  /** All that runs or should run of what the bridge was told. */
  #placed(): Placed[] {
    if (this.#sight === undefined) return [];
    const { services, containers } = this.#judgeSight(this.#sight);
    const { ledger } = this.#deps;
    const ofContainers = containers.flatMap(({ service, seen }) => {
      if (service === undefined) return [];
      return ledger.everOf(service.name).findLast(({ pinned }) => pinned === seen.image) ?? [];
    });
    return [...services.flatMap(({ ordered }) => ordered ?? []), ...ofContainers];
  }

  #judgeSight(sight: Sight) {
    const { ledger, standings } = this.#deps;
    return judgeSight(sight, {
      ledger,
      standingOf: (placed) => standings.of(placed),
      inForceBefore: (service) => this.#inForceBefore.get(service) ?? [],
      members: this.#members,
      isNew: (key) => this.#deps.elapsedMs() - (this.#firstSeenMs.get(key) ?? 0) < NEW_MS,
    });
  }

  /** Both loops end here, one after the other. */
  #conclude(): Promise<void> {
    return this.#concluding.run("", async () => {
      if (this.#sight === undefined) return;
      const { alarms, reactor, states, now } = this.#deps;
      const [judged, at] = [this.#date(this.#sight, now()), now()];
      states.put({ lookedAt: this.#sight.at, nodes: this.#sight.nodes, ...toStates(judged) });
      await alarms.hear(judged, at);
      await reactor.consider(judged, this.#policy?.document, at);
    });
  }

  /** Since when each is as it is; a node is unseen since it was seen last. */
  #date(sight: Sight & { readonly at: Date }, at: Date): Judged {
    const next = new Map<string, Since>();
    const date = <T extends { readonly state: string }>(subject: string, one: T): T & { readonly since: Date } => {
      const known = this.#since.get(subject);
      const changedAt = one.state === "unseen" ? (known?.lookedAt ?? at) : at;
      const since = known?.state === one.state ? known.since : changedAt;
      next.set(subject, { state: one.state, since, lookedAt: sight.at });
      return { ...one, since };
    };
    const { services, containers } = this.#judgeSight(sight);
    const judged = {
      services: services.map((one) => date(`service ${one.seen.id}`, one)),
      containers: containers.map((one) => date(`container ${keyOf(one.seen.node, one.seen.id)}`, one)),
      nodes: sight.nodes.map((one) => date(`node ${one.id}`, one)),
    };
    this.#since = next;
    return judged;
  }

  async #pause(ms: number, unless: Promise<void>): Promise<void> {
    const { signal } = this.#ended;
    const waited = delay(ms, undefined, { signal }).catch(() => undefined);
    await Promise.race([waited, unless]);
  }
}

function toStates({ services, containers }: Judged): { services: ServiceState[]; containers: ContainerState[] } {
  return {
    services: services.map(({ seen: { id, name }, ordered, state, reason, since }) => ({
      ...{ id, name, environment: ordered?.environment, pinned: ordered?.pinned, state, reason, since },
    })),
    containers: containers.map(({ seen: { id, name, node, image }, service, environment, state, reason, since }) => ({
      ...{ id, name, node, service: service?.id, environment, image, state, reason, since },
    })),
  };
}
