import { setTimeout as delay } from "node:timers/promises";
import type { JsonObject } from "../oci/json.ts";
import type { Outcome } from "./actions.ts";
import { converge, type Progress } from "./convergence.ts";
import { findConverged, findOpen, type Intent } from "./deployment-records.ts";
import { BridgeError, type Refusal, refuse, toRefusal } from "./errors.ts";
import type { PassPoint } from "./failpoint.ts";
import type { Journal } from "./journal.ts";
import type { Ledger } from "./ledger.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { findDifference } from "./same-definition.ts";
import { toDefinition } from "./service-definition.ts";
import { parseServiceSpec, type ServiceSpec } from "./service-spec.ts";
import type { Decision } from "./signed-digest.ts";
import type { HeldService, Swarm } from "./swarm.ts";

export interface DeployerDeps {
  readonly swarm: Swarm;
  readonly journal: Journal;
  /** {@link resolveSignedDigest} of this bridge. */
  readonly resolve: (image: string, environment: string) => Promise<Decision>;
  readonly newId: () => string;
  readonly failpoint: PassPoint;
  readonly ledger: Ledger;
  /** {@link readIdentities} of this bridge. */
  readonly identify: (pinned: string) => Promise<readonly string[]>;
  /** How long a deployment may take until it has failed. */
  readonly deadlineMs: number;
}

/** What was ordered and judged, ready to be told the engine. */
export interface Plan extends Omit<Intent, "id" | "rollbackOf"> {
  readonly parsed: ServiceSpec;
}

/** Together a minute: managers choose a new leader in ten seconds. */
const LOOK_AGAIN_MS: readonly number[] = [500, 1000, 2000, 4000, 8000, 15_000, 30_000];

export type OnProgress = (progress: Progress & { readonly pinned: string }) => void;

/** The labels by which the bridge knows its own. */
export const [ENVIRONMENT, INTENT] = ["goldseal.environment", "goldseal.intent"] as const;

/**
 * The only writer of services. In the journal before and after each call to the engine: what the engine was told is known
 * after a crash too, and done once.
 * @see issue 7, number 2; hardening part 4, T25
 */
export class Deployer {
  readonly #deps: DeployerDeps;
  readonly #turns = new OneAtATime();

  constructor(deps: DeployerDeps) {
    this.#deps = deps;
  }

  /** Creates or updates the service, watches it, and rolls back by itself when it does not come up. */
  deploy(plan: Plan, onProgress: OnProgress): Promise<Outcome> {
    const { parsed, ...rest } = plan;
    return this.inTurn(plan.service, async () => {
      const frozen = this.#deps.ledger.whyFrozen(plan.service);
      if (frozen !== undefined) throw new BridgeError("POLICY", `${plan.service} is frozen: ${frozen}`);
      return this.#run({ ...rest, id: this.#deps.newId(), rollbackOf: undefined }, parsed, onProgress);
    });
  }

  /** Whatever changes a service waits for its turn. */
  inTurn(service: string, act: () => Promise<Outcome>): Promise<Outcome> {
    return this.#turns.run(service, () => act().catch(toRefusal));
  }

  /** What was ordered takes the place of what somebody made of it, if it verifies now. In the service's turn. */
  async restore(ordered: Intent, because: string): Promise<Outcome> {
    const decision = await this.#deps.resolve(ordered.pinned, ordered.environment);
    if (decision.kind === "refuse") return decision;
    const { environment, service, pinned, spec, user } = ordered;
    const intent = { environment, service, pinned, spec, user, because, id: this.#deps.newId(), rollbackOf: undefined };
    return this.#run(intent, parse(intent), silent);
  }

  /** The newest that ran here and verifies now takes its place. In the service's turn. */
  async replace(lost: Intent): Promise<Outcome> {
    const pinned = await this.#rollBack(lost, silent);
    return pinned === undefined
      ? refuse("UNSIGNED", `of all that ran as ${lost.service} nothing verifies now`)
      : { kind: "deployed", pinned };
  }

  /** After a start: what was begun when the bridge was killed is brought to its end, or given up with its reason. */
  async recover(): Promise<void> {
    const open = findOpen(this.#deps.journal.records);
    await Promise.all(open.map(({ intent }) => this.inTurn(intent.service, () => this.#finish(intent))));
  }

  async #finish(intent: Intent): Promise<Outcome> {
    const find = () => this.#deps.swarm.findService(intent.service);
    return this.#insist(intent, async () => this.#resume(intent, await find(), silent), silent);
  }

  /** From wherever the journal and the engine have it. @throws BridgeError SILENT, ENGINE */
  async #resume(intent: Intent, held: HeldService | undefined, onProgress: OnProgress): Promise<Outcome> {
    const known = this.#deps.ledger.find(intent.id);
    if (known?.isFailed) return this.#end(intent, "nobody rolled back after it failed", onProgress);
    if (held !== undefined && labelsOf(held)[INTENT] === intent.id) {
      const definition = known?.definition ?? (await this.#define(intent, parse(intent)));
      const difference = findDifference(definition, held.spec);
      if (difference !== undefined) return this.#undo(intent, difference, held, onProgress);
      return this.#watch(intent, definition, onProgress);
    }
    // Time has passed: what was signed then may have been revoked.
    const decision = await this.#deps.resolve(intent.pinned, intent.environment);
    if (decision.kind === "refuse") return this.#giveUp(intent, decision);
    return this.#applyAndWatch(intent, parse(intent), held, onProgress);
  }

  async #run(intent: Intent, spec: ServiceSpec, onProgress: OnProgress): Promise<Outcome> {
    const held = await this.#deps.swarm.findService(intent.service);
    requireOwn(held, intent);
    await this.#identify(intent.pinned);
    await this.#deps.journal.append({ event: "intent", ...intent });
    this.#deps.failpoint("bridge.afterIntent");
    return this.#insist(intent, () => this.#applyAndWatch(intent, spec, held, onProgress), onProgress);
  }

  /** What a manager was told that is silent since may have been done: another one knows, or a later start of the bridge. */
  async #insist(intent: Intent, begin: () => Promise<Outcome>, onProgress: OnProgress): Promise<Outcome> {
    let act = begin;
    for (const pauseMs of [...LOOK_AGAIN_MS, undefined]) {
      try {
        return await act();
      } catch (error) {
        const refusal = toRefusal(error);
        if (refusal.code !== "SILENT") return this.#giveUp(intent, refusal);
        if (pauseMs === undefined) return refusal;
        await delay(pauseMs);
      }
      act = async () => this.#resume(intent, await this.#deps.swarm.findService(intent.service), onProgress);
    }
    throw new Error("the last turn of the loop returns");
  }

  /** @throws BridgeError SILENT, ENGINE, SPEC */
  async #applyAndWatch(
    intent: Intent,
    spec: ServiceSpec,
    held: HeldService | undefined,
    onProgress: OnProgress,
  ): Promise<Outcome> {
    const { definition, difference } = await this.#apply(intent, spec, held);
    if (difference !== undefined) return this.#undo(intent, difference, held, onProgress);
    return this.#watch(intent, definition, onProgress);
  }

  /** So that what runs can be told from it later, the registry being there or not. */
  async #identify(pinned: string): Promise<void> {
    const { ledger, journal, identify } = this.#deps;
    if (ledger.identitiesOf(pinned) === undefined)
      await journal.append({ event: "image", pinned, digests: await identify(pinned) });
  }

  /** T25: something between the bridge and the cluster made another service of it. */
  async #undo(
    intent: Intent,
    difference: string,
    held: HeldService | undefined,
    onProgress: OnProgress,
  ): Promise<Outcome> {
    const { swarm, journal } = this.#deps;
    const reason = `the engine holds something else than was ordered: ${difference}`;
    await journal.append({ event: "failed", id: intent.id, reason });
    const made = held === undefined ? await swarm.findService(intent.service) : undefined;
    if (made !== undefined) await swarm.remove(made.id);
    return this.#end(intent, reason, onProgress);
  }

  async #giveUp({ id }: Intent, refusal: Refusal): Promise<Refusal> {
    await this.#deps.journal.append({ event: "abandoned", id, reason: refusal.reason });
    return refusal;
  }

  async #watch(intent: Intent, definition: JsonObject, onProgress: OnProgress): Promise<Outcome> {
    const { swarm, journal, deadlineMs } = this.#deps;
    const { id, pinned, service } = intent;
    const tell = (progress: Progress): void => onProgress({ ...progress, pinned });
    const end = await converge({ swarm, service, definition, deadlineMs, onProgress: tell });
    if (end.kind === "failed") {
      await journal.append({ event: "failed", id, reason: end.reason });
      return this.#end(intent, end.reason, onProgress);
    }
    await journal.append({ event: "converged", id });
    return { kind: "deployed", pinned };
  }

  /** Of a deployment that failed. One step back, not a chain of them. */
  async #end(intent: Intent, reason: string, onProgress: OnProgress): Promise<Outcome> {
    const rolledBackTo = intent.rollbackOf === undefined ? await this.#rollBack(intent, onProgress) : undefined;
    await this.#deps.journal.append({ event: "ended", id: intent.id });
    return { kind: "failed", reason, rolledBackTo };
  }

  async #define({ id, environment, pinned }: Intent, spec: ServiceSpec): Promise<JsonObject> {
    const labels = { [ENVIRONMENT]: environment, [INTENT]: id };
    return toDefinition({ spec, pinned, labels, ids: await this.#deps.swarm.resolveIds(spec) });
  }

  /** Tells the engine, and looks at what it holds then. */
  async #apply(
    intent: Intent,
    spec: ServiceSpec,
    held: HeldService | undefined,
  ): Promise<{ readonly definition: JsonObject; readonly difference: string | undefined }> {
    const { swarm, journal } = this.#deps;
    const { id, service } = intent;
    const definition = await this.#define(intent, spec);
    const body = Buffer.from(JSON.stringify(definition));
    await journal.append({ event: "sent", id, definition });
    if (held === undefined) await swarm.create(body);
    else await swarm.update(held, body);
    this.#deps.failpoint("bridge.afterDockerCall");
    const now = await swarm.findService(service);
    const difference = now === undefined ? "the service is not there" : findDifference(definition, now.spec);
    this.#deps.failpoint("bridge.afterReread");
    await journal.append({ event: "applied", id, ...(difference === undefined ? {} : { difference }) });
    return { definition, difference };
  }

  /** To the newest that ran here and verifies now; undefined where there is none. */
  async #rollBack(failed: Intent, onProgress: OnProgress): Promise<string | undefined> {
    const { journal, resolve, newId } = this.#deps;
    for (const before of findConverged(journal.records, failed)) {
      if (before.pinned === failed.pinned && before.spec === failed.spec) continue;
      const decision = await resolve(before.pinned, before.environment);
      if (decision.kind === "refuse") {
        await journal.append({ event: "passed-over", id: failed.id, pinned: before.pinned, reason: decision.reason });
        continue;
      }
      const intent = { ...before, id: newId(), rollbackOf: failed.id, user: failed.user };
      const outcome = await this.#run(intent, parse(intent), onProgress);
      return outcome.kind === "deployed" ? outcome.pinned : undefined;
    }
    return undefined;
  }
}

/** Nobody waits for what is finished after a start. */
const silent: OnProgress = () => undefined;

const parse = ({ spec }: Intent): ServiceSpec => parseServiceSpec(Buffer.from(spec));

function labelsOf({ spec }: HeldService): JsonObject {
  return (spec.Labels ?? {}) as JsonObject;
}

/** A service of somebody else's, or of another environment, is not taken over by its name. @throws BridgeError SPEC */
function requireOwn(held: HeldService | undefined, { environment, service }: Intent): void {
  if (held === undefined || labelsOf(held)[ENVIRONMENT] === environment) return;
  const owner = labelsOf(held)[ENVIRONMENT];
  const whose = owner === undefined ? "was not made by the bridge" : `belongs to ${owner}`;
  throw new BridgeError("SPEC", `there is a service ${service} already, and it ${whose}`);
}
