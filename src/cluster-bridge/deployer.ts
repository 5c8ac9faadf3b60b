import type { JsonObject } from "../oci/json.ts";
import type { Outcome } from "./actions.ts";
import type { AskedImage, BreakGlass } from "./break-glass.ts";
import { converge, type Progress } from "./convergence.ts";
import {
  findConverged,
  findIntent,
  findOpen,
  findOpenRemovals,
  findSent,
  type Intent,
  type Stage,
} from "./deployment-records.ts";
import { BridgeError, isPassing, type Refusal, toRefusal } from "./errors.ts";
import type { PassPoint } from "./failpoint.ts";
import type { Journal } from "./journal.ts";
import { ENVIRONMENT_LABEL, INTENT_LABEL, labelsOf, requireOwn, type ServiceOfEnvironment } from "./managed-service.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { beginRemoval, finishRemoval } from "./removal.ts";
import { findDifference } from "./same-definition.ts";
import { toDefinition } from "./service-definition.ts";
import { parseServiceSpec, type ServiceSpec } from "./service-spec.ts";
import { type Decision, signersOf } from "./signed-digest.ts";
import { requireWithin } from "./spec-limits.ts";
import type { HeldService, Swarm } from "./swarm.ts";

/** What may run. */
export interface Judges {
  /** {@link resolveSignedDigest} of this bridge. */
  readonly resolve: (image: string, environment: string) => Promise<Decision>;
  /** {@link breakGlass} of this bridge. */
  readonly breakGlass: (envelope: Uint8Array, asked: AskedImage) => Promise<BreakGlass | Refusal>;
}

export interface DeployerDeps extends Judges {
  readonly swarm: Swarm;
  readonly journal: Journal;
  readonly newId: () => string;
  readonly failpoint: PassPoint;
  /** How long a deployment may take until it has failed. */
  readonly deadlineMs: number;
}

/** What was ordered and judged, ready to be told the engine. */
export interface Plan extends Omit<Intent, "id" | "rollbackOf" | "breakGlass"> {
  readonly parsed: ServiceSpec;
  /** See {@link Intent}. */
  readonly breakGlass?: string | undefined;
}

/** Somebody who may wants something done to a service that is there. */
export interface ServiceChange extends ServiceOfEnvironment {
  readonly user: string;
}

export type OnProgress = (progress: Progress & { readonly pinned: string }) => void;

/**
 * The only writer of services. In the journal before and after each call to the engine: what the engine was told is known
 * after a crash too, and done once.
 * @see issue 7, number 2; hardening part 4, T25
 */
export class Deployer {
  readonly #deps: DeployerDeps;
  readonly #turns = new OneAtATime();
  /** Services of which something may be open that is in nobody's hands. */
  readonly #loose = new Set<string>();

  constructor(deps: DeployerDeps) {
    this.#deps = deps;
  }

  /** Creates or updates the service, watches it, and rolls back by itself when it does not come up. */
  deploy(plan: Plan, onProgress: OnProgress): Promise<Outcome> {
    const { parsed, breakGlass, ...rest } = plan;
    const intent = { ...rest, breakGlass, id: this.#deps.newId(), rollbackOf: undefined };
    return this.#inTurn(plan.service, () => this.#run(intent, parsed, onProgress));
  }

  /** To the newest that ran in the service before, was not taken back, and verifies now. */
  rollBack(change: ServiceChange, onProgress: OnProgress): Promise<Outcome> {
    return this.#inTurn(change.service, () => this.#rollBack(change, onProgress));
  }

  remove(change: ServiceChange): Promise<Outcome> {
    const removal = { ...change, id: this.#deps.newId() };
    return this.#inTurn(change.service, () => beginRemoval(this.#deps, removal));
  }

  /** After a start: what was begun when the bridge was killed is brought to its end, or given up with its reason. */
  async recover(): Promise<void> {
    const { records } = this.#deps.journal;
    const services = [...findOpen(records).map(({ intent }) => intent.service), ...servicesOf(findOpenRemovals(records))];
    await Promise.all(services.map((service) => this.#inTurn(service, () => this.#finishOpen(service))));
  }

  /** The same for what was left while it ran, because the engine or the registry did not answer. */
  async recoverLoose(): Promise<void> {
    const services = [...this.#loose];
    this.#loose.clear();
    await Promise.all(services.map((service) => this.#inTurn(service, () => this.#finishOpen(service))));
  }

  /** One after the other in each service. */
  #inTurn(service: string, act: () => Promise<Outcome>): Promise<Outcome> {
    return this.#turns.run(service, () =>
      act().catch((error: unknown) => {
        this.#loose.add(service);
        return toRefusal(error);
      }),
    );
  }

  /** What is open now: something newer may have taken its place while this waited for its turn. */
  async #finishOpen(service: string): Promise<Outcome> {
    const { records } = this.#deps.journal;
    const open = findOpen(records).find(({ intent }) => intent.service === service);
    if (open !== undefined) return this.#finish(open.intent, open.stage).catch((error: unknown) => this.#doubt(open.intent, error));
    const removal = findOpenRemovals(records).find((one) => one.service === service);
    return removal === undefined ? { kind: "done" } : finishRemoval(this.#deps, removal);
  }

  async #finish(intent: Intent, stage: Stage): Promise<Outcome> {
    const { swarm, journal } = this.#deps;
    if (stage === "failed") return this.#end(intent, "the bridge was interrupted before it rolled back", silent);
    const held = await swarm.findService(intent.service);
    if (held !== undefined) requireOwn(held, intent);
    if (held !== undefined && labelsOf(held)[INTENT_LABEL] === intent.id) {
      const sent = findSent(journal.records, intent.id);
      const difference = sent === undefined ? "nothing was sent" : findDifference(sent, held.spec);
      const isUpdate = findConverged(journal.records, intent).length > 0;
      if (difference !== undefined) return this.#undo(intent, difference, isUpdate ? held : undefined, silent);
      return this.#watch(intent, sent ?? {}, silent);
    }
    const doubt = await this.#findDoubt(intent);
    if (doubt !== undefined) return isPassing(doubt) ? this.#leave(intent, doubt) : this.#giveUp(intent, doubt);
    return this.#applyAndWatch(intent, parse(intent), held, silent);
  }

  /** Time has passed: what was signed, or let by without, may have been revoked. */
  async #findDoubt({ pinned, environment, breakGlass }: Intent): Promise<Refusal | undefined> {
    const answer =
      breakGlass === undefined
        ? await this.#deps.resolve(pinned, environment)
        : await this.#deps.breakGlass(Buffer.from(breakGlass, "base64"), { image: pinned, environment });
    return answer.kind === "refuse" ? answer : undefined;
  }

  async #run(intent: Intent, spec: ServiceSpec, onProgress: OnProgress): Promise<Outcome> {
    const held = await this.#deps.swarm.findService(intent.service);
    if (held !== undefined) requireOwn(held, intent);
    await this.#deps.journal.append({ event: "intent", ...intent });
    this.#deps.failpoint("bridge.afterIntent");
    return this.#applyAndWatch(intent, spec, held, onProgress);
  }

  async #applyAndWatch(
    intent: Intent,
    spec: ServiceSpec,
    held: HeldService | undefined,
    onProgress: OnProgress,
  ): Promise<Outcome> {
    const applied = await this.#apply(intent, spec, held).catch(toRefusal);
    if ("kind" in applied) return isPassing(applied) ? this.#leave(intent, applied) : this.#giveUp(intent, applied);
    const { definition, difference } = applied;
    if (difference !== undefined) return this.#undo(intent, difference, held, onProgress);
    return this.#watch(intent, definition, onProgress);
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

  /** What the engine was told may have been done, and it is looked at again: {@link recoverLoose}. */
  #leave({ service }: Intent, refusal: Refusal): Refusal {
    this.#loose.add(service);
    return { ...refusal, reason: `${refusal.reason}; the bridge goes on when it is answered` };
  }

  /** Of what comes up by itself: what will not be otherwise another time is given up. */
  async #doubt(intent: Intent, error: unknown): Promise<Refusal> {
    const refusal = toRefusal(error);
    if (isPassing(refusal) || refusal.code === "ENGINE") throw error;
    return this.#giveUp(intent, refusal);
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
    const { outcome, doubts } =
      intent.rollbackOf === undefined ? await this.#stepBack(intent, onProgress) : { outcome: undefined, doubts: [] };
    const passing = doubts.find(isPassing);
    if (passing !== undefined) {
      const later = this.#leave(intent, passing);
      return { kind: "failed", reason: `${reason}; not rolled back yet: ${later.reason}`, rolledBackTo: undefined };
    }
    await this.#deps.journal.append({ event: "ended", id: intent.id });
    return { kind: "failed", reason, rolledBackTo: outcome?.kind === "deployed" ? outcome.pinned : undefined };
  }

  async #define({ id, environment, pinned }: Intent, spec: ServiceSpec): Promise<JsonObject> {
    const labels = { [ENVIRONMENT_LABEL]: environment, [INTENT_LABEL]: id };
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
    await journal.append({ event: "sending", id, definition });
    if (held === undefined) await swarm.create(body);
    else await swarm.update(held, body);
    this.#deps.failpoint("bridge.afterDockerCall");
    const now = await swarm.findService(service);
    const difference = now === undefined ? "the service is not there" : findDifference(definition, now.spec);
    this.#deps.failpoint("bridge.afterReread");
    await journal.append({ event: "applied", id, ...(difference === undefined ? {} : { difference }) });
    return { definition, difference };
  }

  async #rollBack({ environment, service, user }: ServiceChange, onProgress: OnProgress): Promise<Outcome> {
    const { swarm, journal } = this.#deps;
    const held = await swarm.findService(service);
    if (held === undefined) throw new BridgeError("MISSING", `there is no service ${service}`);
    requireOwn(held, { environment, service });
    const present = findIntent(journal.records, labelsOf(held)[INTENT_LABEL]);
    if (present === undefined) throw new BridgeError("MISSING", `the journal does not know how ${service} came about`);
    const { outcome, doubts } = await this.#stepBack({ ...present, user }, onProgress);
    if (outcome !== undefined) return outcome;
    const why = doubts.map(({ reason }) => reason).join("; ");
    const [{ code } = { code: "MISSING" as const }] = doubts;
    throw new BridgeError(code, `nothing else that ran in ${service} may run now${why === "" ? "" : `: ${why}`}`);
  }

  /** To the newest that ran here and verifies now; no outcome where there is none, but why not. */
  async #stepBack(
    from: Intent,
    onProgress: OnProgress,
  ): Promise<{ readonly outcome?: Outcome; readonly doubts: readonly Refusal[] }> {
    const { journal, newId } = this.#deps;
    const doubts: Refusal[] = [];
    for (const before of findConverged(journal.records, from)) {
      if (before.pinned === from.pinned && before.spec === from.spec) continue;
      const judged = await this.#judge(before).catch(toRefusal);
      if (judged.kind !== "refuse") {
        const intent = { ...before, ...judged.signed, id: newId(), rollbackOf: from.id, user: from.user };
        return { outcome: await this.#run(intent, judged.spec, onProgress), doubts };
      }
      doubts.push(judged);
      if (isPassing(judged)) break;
      await journal.append({ event: "passed-over", id: from.id, pinned: before.pinned, reason: judged.reason });
    }
    return { doubts };
  }

  /** By its signatures and by the limits of now, whatever let it run then. */
  async #judge(before: Intent) {
    const { environment, pinned } = before;
    const decision = await this.#deps.resolve(pinned, environment);
    if (decision.kind === "refuse") return decision;
    const spec = parse(before);
    requireWithin(spec, decision.policy.environments.get(environment)?.specLimits ?? {}, environment);
    return { kind: "good" as const, spec, signed: { because: signersOf(decision), breakGlass: undefined } };
  }
}

/** Nobody waits for what is finished after a start. */
const silent: OnProgress = () => undefined;

const parse = ({ spec }: Intent): ServiceSpec => parseServiceSpec(Buffer.from(spec));

const servicesOf = (those: readonly { readonly service: string }[]): string[] => those.map(({ service }) => service);
