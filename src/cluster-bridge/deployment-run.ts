import { setTimeout as delay } from "node:timers/promises";
import type { JsonObject } from "../oci/json.ts";
import type { Outcome } from "./actions.ts";
import type { AskedImage, BreakGlass } from "./break-glass.ts";
import { converge } from "./convergence.ts";
import { findConverged, type Intent } from "./deployment-records.ts";
import { BridgeError, type Refusal, toRefusal } from "./errors.ts";
import type { Identities } from "./image-identities.ts";
import type { Deployment, Ledger } from "./ledger.ts";
import { INTENT_LABEL, labelsOf, requireOwn, requireStack } from "./managed-service.ts";
import type { PlacementReport } from "./placement/placement.ts";
import type { Progress } from "./rollout.ts";
import { findDifference } from "./same-definition.ts";
import { parseServiceSpec, type ServiceSpec } from "./service-spec.ts";
import { type ServiceWriterDeps, type Wish, writeService } from "./service-writer.ts";
import { type Asking, type Decision, signersOf } from "./signed-digest.ts";
import { requireWithinNow } from "./spec-limits.ts";
import type { HeldService } from "./swarm.ts";

/** What may run. */
export interface Judges {
  /** {@link resolveSignedDigest} of this bridge. */
  readonly resolve: (image: string, environment: string, asking?: Asking) => Promise<Decision>;
  /** {@link breakGlass} of this bridge. */
  readonly breakGlass: (envelope: Uint8Array, asked: AskedImage) => Promise<BreakGlass | Refusal>;
}

export interface DeploymentRunDeps extends ServiceWriterDeps, Judges {
  readonly ledger: Ledger;
  readonly newId: () => string;
  /** {@link readIdentities} of this bridge. */
  readonly identify: (pinned: string) => Promise<Identities>;
  /** For how long nothing of a deployment may move until it has failed, beside what its specification gives it. */
  readonly patienceMs: number;
  /** How long after each other a manager that is silent is asked again; default: together a minute. */
  readonly lookAgainMs?: readonly number[];
  /** Told of a service of which something stays open. */
  readonly onLeft: (service: string) => void;
}

export type OnProgress = (
  progress: (Progress | { readonly placement: PlacementReport }) & { readonly pinned: string },
) => void;

/** Managers choose a new leader in ten seconds. */
const LOOK_AGAIN_MS: readonly number[] = [500, 1000, 2000, 4000, 8000, 15_000, 30_000];

/** Nobody waits for what the bridge does by itself. */
export const silent: OnProgress = () => undefined;

export const specOf = ({ spec }: Intent): ServiceSpec => parseServiceSpec(Buffer.from(spec));

/**
 * One deployment from its intent to its end. Always in the turn of its service.
 * @see issue 7, number 2; hardening part 4, T25
 */
export class DeploymentRun {
  readonly #deps: DeploymentRunDeps;

  constructor(deps: DeploymentRunDeps) {
    this.#deps = deps;
  }

  async run(intent: Intent, wish: Wish, onProgress: OnProgress): Promise<Outcome> {
    const { swarm, journal, failpoint } = this.#deps;
    const held = await swarm.findService(intent.service);
    if (held !== undefined) requireOwn(held, intent);
    if (held !== undefined) requireStack(held, intent);
    await this.#identify(intent.pinned);
    await journal.append({ event: "intent", ...intent });
    failpoint("bridge.afterIntent");
    return this.#insist(intent, () => this.#applyAndWatch(intent, wish, held, onProgress), onProgress);
  }

  /** Goes on with what was begun, from wherever the journal and the engine have it. */
  finish(intent: Intent): Promise<Outcome> {
    return this.#insist(intent, () => this.#resume(intent, silent), silent);
  }

  /** @throws BridgeError SILENT, ENGINE, SPEC */
  async #resume(intent: Intent, onProgress: OnProgress): Promise<Outcome> {
    const { ledger, journal, swarm } = this.#deps;
    const known = ledger.find(intent.id);
    if (known?.isFailed) {
      await this.#removeAltered(intent, known);
      return this.#end(intent, "nobody rolled back after it failed", onProgress);
    }
    const held = await swarm.findService(intent.service);
    if (held !== undefined) requireOwn(held, intent);
    if (held !== undefined && labelsOf(held)[INTENT_LABEL] === intent.id) {
      const { definition } = known ?? {};
      const difference = definition === undefined ? "nothing was sent" : findDifference(definition, held.spec);
      const isUpdate = findConverged(journal.records, intent).length > 0;
      if (difference !== undefined) return this.#undo(intent, difference, isUpdate ? held : undefined, onProgress);
      return this.#watch(intent, definition ?? {}, onProgress);
    }
    const doubt = await this.findDoubt(intent);
    if (doubt !== undefined) return this.#giveUp(intent, doubt);
    return this.#applyAndWatch(intent, { spec: specOf(intent) }, held, onProgress);
  }

  /** Time has passed: what was signed, or let by without, may have been revoked. @throws BridgeError SILENT, SPEC */
  async findDoubt(intent: Intent): Promise<Refusal | undefined> {
    const { pinned, environment, breakGlass } = intent;
    const answer =
      breakGlass === undefined
        ? await this.#deps.resolve(pinned, environment, { ranBefore: true })
        : await this.#deps.breakGlass(Buffer.from(breakGlass, "base64"), { image: pinned, environment });
    if (answer.kind === "refuse") return unlessAway(answer);
    if (answer.kind === "deploy") requireWithinNow(specOf(intent), answer.policy, environment);
    return undefined;
  }

  /** What a manager was told that is silent since may have been done: another one knows, or it is looked at again later. */
  async #insist(intent: Intent, begin: () => Promise<Outcome>, onProgress: OnProgress): Promise<Outcome> {
    let act = begin;
    for (const pauseMs of [...(this.#deps.lookAgainMs ?? LOOK_AGAIN_MS), undefined]) {
      try {
        return await act();
      } catch (error) {
        const refusal = toRefusal(error);
        if (refusal.code !== "SILENT") return this.#giveUp(intent, refusal);
        if (pauseMs === undefined) return this.#leave(intent, refusal);
        // A bridge that stops is not held up: the next one looks.
        await delay(pauseMs, undefined, { ref: false });
      }
      act = () => this.#resume(intent, onProgress);
    }
    throw new Error("the last turn of the loop returns");
  }

  #leave({ service }: Intent, refusal: Refusal): Refusal {
    this.#deps.onLeft(service);
    return { ...refusal, reason: `${refusal.reason}; the bridge goes on with it when it is answered` };
  }

  /** @throws BridgeError SILENT, ENGINE, SPEC */
  async #applyAndWatch(
    intent: Intent,
    wish: Wish,
    held: HeldService | undefined,
    onProgress: OnProgress,
  ): Promise<Outcome> {
    const { definition, placed, difference } = await writeService(this.#deps, intent, wish, held);
    // Not before: until the engine took it, whoever ordered is told of a refusal as one.
    onProgress({ placement: placed.report, pinned: intent.pinned });
    if (difference !== undefined) return this.#undo(intent, difference, held, onProgress);
    return this.#watch(intent, definition, onProgress);
  }

  /** So that what runs can be told from it later, the registry being there or not. */
  async #identify(pinned: string): Promise<void> {
    const { ledger, journal, identify } = this.#deps;
    const known = ledger.identitiesOf(pinned);
    if (known === undefined || known.isPartial)
      await journal.append({ event: "image", pinned, ...(await identify(pinned)) });
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
    return this.#end(intent, made === undefined ? reason : `${reason}; it was removed`, onProgress);
  }

  /** What {@link #undo} was about to take away when the bridge was killed. @throws BridgeError SILENT, SPEC */
  async #removeAltered(intent: Intent, { definition }: Deployment): Promise<void> {
    const { swarm, journal } = this.#deps;
    const held = await swarm.findService(intent.service);
    if (held === undefined || labelsOf(held)[INTENT_LABEL] !== intent.id) return;
    requireOwn(held, intent);
    const isSame = definition !== undefined && findDifference(definition, held.spec) === undefined;
    if (!isSame && findConverged(journal.records, intent).length === 0) await swarm.remove(held.id);
  }

  async #giveUp({ id }: Intent, refusal: Refusal): Promise<Refusal> {
    await this.#deps.journal.append({ event: "abandoned", id, reason: refusal.reason });
    return refusal;
  }

  async #watch(intent: Intent, definition: JsonObject, onProgress: OnProgress): Promise<Outcome> {
    const { swarm, journal, patienceMs } = this.#deps;
    const { id, pinned, service } = intent;
    const tell = (progress: Progress): void => onProgress({ ...progress, pinned });
    const end = await converge({ swarm, service, definition, patienceMs, onProgress: tell });
    if (end.kind === "failed") {
      await journal.append({ event: "failed", id, reason: end.reason });
      return this.#end(intent, end.reason, onProgress);
    }
    await journal.append({ event: "converged", id });
    return { kind: "deployed", pinned };
  }

  /** Of a deployment that failed. One step back, not a chain of them. @throws BridgeError SILENT: not yet at its end */
  async #end(intent: Intent, reason: string, onProgress: OnProgress): Promise<Outcome> {
    const { journal, swarm } = this.#deps;
    const isRollback = intent.rollbackOf !== undefined;
    const back = isRollback ? { outcome: undefined, doubts: [] } : await this.stepBack(intent, onProgress);
    await journal.append({ event: "ended", id: intent.id });
    if (back.outcome?.kind === "deployed") return { kind: "failed", reason, rolledBackTo: back.outcome.pinned };
    const held = await swarm.findService(intent.service).catch(() => undefined);
    const left = held === undefined ? [] : [whatIsLeft(intent, back)];
    return { kind: "failed", reason: [reason, ...left].join("; "), rolledBackTo: undefined };
  }

  /**
   * To the newest that ran in its service before, was not taken back, and verifies now; no outcome where there is none, but why.
   * @throws BridgeError SILENT
   */
  async stepBack(from: Intent, onProgress: OnProgress): Promise<StepBack> {
    const { journal, newId } = this.#deps;
    const doubts: Refusal[] = [];
    for (const before of findConverged(journal.records, from)) {
      if (before.pinned === from.pinned && before.spec === from.spec) continue;
      const judged = await this.#judge(before).catch(toRefusal);
      if (judged.kind !== "refuse") {
        const intent = { ...before, ...judged.signed, id: newId(), rollbackOf: from.id, user: from.user };
        return { outcome: await this.run(intent, { spec: judged.spec }, onProgress), doubts };
      }
      doubts.push(unlessAway(judged));
      await journal.append({ event: "passed-over", id: from.id, pinned: before.pinned, reason: judged.reason });
    }
    return { outcome: undefined, doubts };
  }

  /** By its signatures and by the limits of now, whatever let it run then. */
  async #judge(before: Intent) {
    const { environment, pinned } = before;
    const decision = await this.#deps.resolve(pinned, environment, { ranBefore: true });
    if (decision.kind === "refuse") return decision;
    const spec = specOf(before);
    requireWithinNow(spec, decision.policy, environment);
    return { kind: "good" as const, spec, signed: { because: signersOf(decision), breakGlass: undefined } };
  }
}

export interface StepBack {
  readonly outcome: Outcome | undefined;
  /** Of what was passed over. */
  readonly doubts: readonly Refusal[];
}

/** What stands where nothing else could take its place, and what to do about it. */
function whatIsLeft({ service, rollbackOf }: Intent, { outcome, doubts }: StepBack): string {
  const doubted = doubts.map(({ reason }) => reason).join("; ");
  const before =
    doubted === "" ? "nothing else ran well here before" : `nothing that ran here before may run now (${doubted})`;
  const tried =
    outcome !== undefined && "reason" in outcome ? `what ran before is not back (${outcome.reason})` : before;
  const why = rollbackOf === undefined ? `${tried}, so it` : "it";
  return `${why} stays as it is: look at goldseal services logs ${service}, then deploy it again, or goldseal services rm ${service}`;
}

/** While the registry is away nobody can tell, and what was begun waits for it. @throws BridgeError SILENT */
function unlessAway(refusal: Refusal): Refusal {
  if (refusal.code !== "REGISTRY") return refusal;
  throw new BridgeError("SILENT", refusal.reason);
}
