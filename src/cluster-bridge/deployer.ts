import type { Outcome } from "./actions.ts";
import { findOpen, findOpenRemovals, type Intent } from "./deployment-records.ts";
import { DeploymentRun, type DeploymentRunDeps, type OnProgress, silent, specOf } from "./deployment-run.ts";
import { BridgeError, toRefusal } from "./errors.ts";
import { INTENT_LABEL, labelsOf, requireOwn, type ServiceOfEnvironment } from "./managed-service.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { beginRemoval, finishRemoval } from "./removal.ts";
import type { ServiceSpec } from "./service-spec.ts";
import { composeService, requireOwnVolumes } from "./service-writer.ts";
import { requireWithinNow } from "./spec-limits.ts";

export interface DeployerDeps extends Omit<DeploymentRunDeps, "onLeft"> {
  /** How long a deployment may have waited for its turn before its image is judged once more. */
  readonly staleMs?: number;
}

const STALE_MS = 5_000;

/** What was ordered and judged, ready to be told the engine. */
export interface Plan extends Omit<Intent, "id" | "stack" | "rollbackOf" | "breakGlass"> {
  readonly parsed: ServiceSpec;
  /** When it was ordered, of performance.now(); undefined: by nobody. What the policy said before is not asked. */
  readonly cameMs?: number | undefined;
  /** Where whoever asks must find the intent again; else it is a new one. */
  readonly id?: string;
  /** See {@link Intent}. */
  readonly stack?: string | undefined;
  readonly breakGlass?: string | undefined;
}

/** Somebody who may wants something done to a service that is there. */
export interface ServiceChange extends ServiceOfEnvironment {
  readonly user: string;
}

/**
 * The only writer of services, one change after the other in each. In the journal before and after each call to the engine:
 * what the engine was told is known after a crash too, and done once.
 * @see issue 7, number 2; hardening part 4, T25
 */
export class Deployer {
  readonly #deps: DeployerDeps;
  readonly #runs: DeploymentRun;
  readonly #turns = new OneAtATime();
  /** Services of which something may be open that is in nobody's hands. */
  readonly #left = new Set<string>();

  constructor(deps: DeployerDeps) {
    this.#deps = deps;
    this.#runs = new DeploymentRun({ ...deps, onLeft: (service) => this.#left.add(service) });
  }

  /** Creates or updates the service, watches it, and rolls back by itself when it does not come up. */
  deploy(plan: Plan, onProgress: OnProgress): Promise<Outcome> {
    const judgedMs = performance.now();
    return this.inTurn(plan.service, async () => {
      this.#refuseFrozen(plan.service);
      const intent = this.#toIntent(plan);
      const isStale = performance.now() - judgedMs > (this.#deps.staleMs ?? STALE_MS);
      const doubt = isStale ? await this.#runs.findDoubt(intent) : undefined;
      const wish = { spec: plan.parsed, sinceMs: isStale ? undefined : plan.cameMs };
      return doubt ?? this.#runs.run(intent, wish, onProgress);
    });
  }

  /** Where {@link deploy} would put it, and why; nothing is changed. */
  async preview(plan: Plan): Promise<Outcome> {
    const intent = this.#toIntent(plan);
    const held = await this.#deps.swarm.findService(intent.service);
    if (held !== undefined) requireOwn(held, intent);
    const { placed } = await composeService(this.#deps, intent, { spec: plan.parsed, sinceMs: plan.cameMs, held });
    return { kind: "done", dryRun: true, pinned: intent.pinned, placement: placed.report };
  }

  /** Whether nodes are there for it, and its volumes are its own; nothing is changed. @throws BridgeError PLACEMENT, SPEC */
  async requirePlace(plan: Plan): Promise<void> {
    const { id, environment, service, pinned } = this.#toIntent(plan);
    requireOwnVolumes(this.#deps.ledger, plan.parsed, environment);
    const held = await this.#deps.swarm.findService(service);
    const [spec, sinceMs] = [plan.parsed, plan.cameMs];
    await this.#deps.place({ id, environment, pinned, spec, sinceMs, serviceId: held?.id });
  }

  /** To the newest that ran in the service before, was not taken back, and verifies now. */
  rollBack(change: ServiceChange, onProgress: OnProgress): Promise<Outcome> {
    return this.inTurn(change.service, async () => {
      this.#refuseFrozen(change.service);
      return this.#rollBack(change, onProgress);
    });
  }

  remove(change: ServiceChange): Promise<Outcome> {
    const removal = { ...change, id: this.#deps.newId() };
    return this.inTurn(change.service, () => beginRemoval(this.#deps, removal));
  }

  /** Whatever changes a service waits for its turn. */
  inTurn(service: string, act: () => Promise<Outcome>): Promise<Outcome> {
    return this.#turns.run(service, async () => {
      const outcome = await act().catch(toRefusal);
      if (outcome.kind === "refuse" && outcome.code === "SILENT") this.#left.add(service);
      return outcome;
    });
  }

  /** Whatever else touches a service waits for its turn too. */
  exclusively<T>(service: string, act: () => Promise<T>): Promise<T> {
    return this.#turns.run(service, act);
  }

  /** What was ordered takes the place of what somebody made of it, if it verifies now. In the service's turn. */
  async restore(ordered: Intent, because: string): Promise<Outcome> {
    const decision = await this.#deps.resolve(ordered.pinned, ordered.environment, { ranBefore: true });
    if (decision.kind === "refuse") return decision;
    const { environment, service, stack, pinned, spec, user } = ordered;
    const parsed = specOf(ordered);
    requireWithinNow(parsed, decision.policy, environment);
    const plan = { environment, service, stack, pinned, spec, user, because, parsed };
    return this.#runs.run(this.#toIntent(plan), { spec: parsed }, silent);
  }

  /** The newest that ran here and verifies now takes its place. In the service's turn. */
  async replace(lost: Intent): Promise<Outcome> {
    const { outcome } = await this.#runs.stepBack(lost, silent);
    if (outcome !== undefined) return outcome;
    throw new BridgeError("UNSIGNED", `of all that ran as ${lost.service} nothing verifies now`);
  }

  /** After a start: what was begun when the bridge was killed is brought to its end, or given up with its reason. */
  recover(): Promise<void> {
    const { records } = this.#deps.journal;
    const open = [...findOpen(records).map(({ intent }) => intent), ...findOpenRemovals(records)];
    return this.#finishAll(open.map(({ service }) => service));
  }

  /** The same for what was left while it ran, because the engine or the registry did not answer. */
  recoverLeft(): Promise<void> {
    const services = [...this.#left];
    this.#left.clear();
    return this.#finishAll(services);
  }

  async #finishAll(services: readonly string[]): Promise<void> {
    await Promise.all(services.map((service) => this.inTurn(service, () => this.#finishOpen(service))));
  }

  /** What is open now: something newer may have taken its place while this waited for its turn. */
  async #finishOpen(service: string): Promise<Outcome> {
    const { records } = this.#deps.journal;
    const open = findOpen(records).find(({ intent }) => intent.service === service);
    if (open !== undefined) return this.#runs.finish(open.intent);
    const removal = findOpenRemovals(records).find((one) => one.service === service);
    return removal === undefined ? { kind: "done" } : finishRemoval(this.#deps, removal);
  }

  async #rollBack({ environment, service, user }: ServiceChange, onProgress: OnProgress): Promise<Outcome> {
    const { swarm, ledger } = this.#deps;
    const held = await swarm.findService(service);
    if (held === undefined) throw new BridgeError("MISSING", `there is no service ${service}`);
    requireOwn(held, { environment, service });
    const present = ledger.find(String(labelsOf(held)[INTENT_LABEL]));
    // Whoever changed the service by hand may have given it another's label: what that one ran is nothing to go back to here.
    if (present?.service !== service || present.environment !== environment)
      throw new BridgeError("MISSING", `the journal does not know how ${service} came about`);
    const { outcome, doubts } = await this.#runs.stepBack({ ...present, user }, onProgress);
    if (outcome !== undefined) return outcome;
    const why = doubts.map(({ reason }) => `: ${reason}`).join("");
    throw new BridgeError(doubts[0]?.code ?? "MISSING", `nothing else that ran in ${service} may run now${why}`);
  }

  #refuseFrozen(service: string): void {
    const frozen = this.#deps.ledger.whyFrozen(service);
    if (frozen !== undefined) throw new BridgeError("POLICY", `${service} is frozen: ${frozen}`);
  }

  #toIntent({ parsed: _, cameMs: _ordered, id = this.#deps.newId(), stack, breakGlass, ...rest }: Plan): Intent {
    return { ...rest, id, stack, breakGlass, rollbackOf: undefined };
  }
}
