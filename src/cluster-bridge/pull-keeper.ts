import { LRUCache } from "lru-cache";
import type { Log } from "../http/log.ts";
import { isJsonObject, type JsonObject } from "../oci/json.ts";
import { allDone } from "./all-done.ts";
import type { Intent } from "./deployment-records.ts";
import { BridgeError, toRefusal } from "./errors.ts";
import type { Journal } from "./journal.ts";
import { ENVIRONMENT_LABEL, INTENT_LABEL, labelsOf, type ServiceOfEnvironment } from "./managed-service.ts";
import type { PullSecret, PullSecrets } from "./pull-secrets.ts";
import { keyOf, type PullState, type PullStates } from "./pull-states.ts";
import { findDifference } from "./same-definition.ts";
import type { HeldService, Swarm } from "./swarm.ts";

/** What nodes are to pull, and for what. */
type Pulling = Pick<Intent, "environment" | "service" | "pinned">;

export interface PullKeeperDeps {
  readonly swarm: Pick<Swarm, "findService" | "update" | "requirePullable">;
  readonly journal: Pick<Journal, "records" | "append">;
  readonly states: PullStates;
  readonly secrets: PullSecrets;
  /** Told before nodes are to pull it: from then on the registry keeps it. Never throws. */
  readonly announce: (coming: Pulling) => Promise<void>;
  readonly now: () => Date;
  readonly log: Log;
}

/** An update that goes on, or that waits for somebody: to send the service once more would begin it anew. */
const BUSY: ReadonlySet<string | undefined> = new Set(["updating", "paused", "rollback_started", "rollback_paused"]);
/** A service that is busy is left alone; that its secret ends soon is said so long before. */
const WARN_MS = 2 * 3_600_000;
/** How long it counts that the cluster was given an image: what it takes beside the secret are routes, names and CAs. */
const GIVEN_MS = 60_000;

/**
 * What nodes pull with: a secret for each service, made for its first deployment, renewed at half of its life by sending the
 * service once more as it is (the engine restarts no task for that), and taken back when the service is gone.
 *
 *   none → prepared (the engine may know) → applied → due → applied … → gone (revoked)
 *
 * @see issue 7, number 4
 */
export class PullKeeper {
  readonly #deps: PullKeeperDeps;
  /** Why the last try failed, by service. */
  readonly #faults = new Map<string, string>();
  /** When the cluster was last given it, by pinned image. */
  readonly #givenAt = new LRUCache<string, Date>({ max: 1000 });

  constructor(deps: PullKeeperDeps) {
    this.#deps = deps;
  }

  /**
   * In the service's turn, before the engine is told: what to tell it along, undefined where anybody can pull. The registry was
   * asked with it, by the cluster itself; not again within a minute for the same image.
   * @param other what else must come about; it is waited for, and its error comes first
   * @throws BridgeError REGISTRY, ENGINE, SILENT
   */
  async prepare(intent: Pulling, other?: Promise<unknown>): Promise<string | undefined> {
    const { states } = this.#deps;
    const [, secret] = await allDone([other, this.#getPullable(intent)]);
    if (secret === undefined) return undefined;
    // Not before: that a change is refused is no reason to send once more what runs.
    if (!isOf(states.find(intent), secret)) await states.put({ ...toState(intent, secret), isApplied: false });
    return secret.auth;
  }

  /** @throws BridgeError REGISTRY, ENGINE, SILENT */
  async #getPullable(intent: Pulling): Promise<PullSecret | undefined> {
    const { states, secrets, swarm, announce } = this.#deps;
    // Not announced along with it: at the registry one would wait for the other.
    const secret = await secrets.get(intent, repositoryOf(intent.pinned));
    if (!("refused" in secret)) {
      // Known from the beginning: a secret whose service never comes is taken back like any other.
      const isFirst = states.find(intent) === undefined;
      const kept = isFirst ? states.put({ ...toState(intent, secret), isApplied: false }) : undefined;
      await allDone([this.#requirePullable(intent.pinned, secret.auth), announce(intent), kept]);
      return secret;
    }
    const pullable = swarm.requirePullable(intent.pinned).catch((cause: unknown) => {
      const { code, reason } = toRefusal(cause);
      throw new BridgeError(code, `${reason}, and there is no secret for it: ${secret.refused}`, { cause });
    });
    await allDone([pullable, announce(intent)]);
    return undefined;
  }

  async #requirePullable(pinned: string, auth: string): Promise<void> {
    const { swarm, now } = this.#deps;
    const ageMs = now().getTime() - (this.#givenAt.get(pinned)?.getTime() ?? Number.NEGATIVE_INFINITY);
    if (ageMs >= 0 && ageMs < GIVEN_MS) return;
    await swarm.requirePullable(pinned, auth);
    this.#givenAt.set(pinned, now());
  }

  /** The engine took it. */
  async applied(key: ServiceOfEnvironment): Promise<void> {
    const state = this.#deps.states.find(key);
    if (state !== undefined) await this.#deps.states.put({ ...state, isApplied: true });
    this.#faults.delete(keyOf(key));
  }

  /** Those whose service may be gone, or whose time may have come: to be tended in the turn of their service. */
  due(): readonly ServiceOfEnvironment[] {
    return this.#deps.states.all();
  }

  /** In the service's turn. It never throws: what fails is said, and tried again. */
  async tend(key: ServiceOfEnvironment): Promise<void> {
    const name = keyOf(key);
    try {
      const warning = await this.#tend(key);
      if (warning === undefined) this.#faults.delete(name);
      else this.#fail(key, warning);
    } catch (error) {
      this.#fail(key, toRefusal(error).reason);
    }
  }

  /** A sentence for each service that nodes may soon not be able to pull for. */
  findFaults(): string[] {
    return [...this.#faults].map(([name, why]) => `${name}: the secret that nodes pull with is not renewed: ${why}`);
  }

  /** How many services there are in each state, for the metrics. */
  count(): ReadonlyMap<string, number> {
    const states = this.#deps.states.all();
    const failing = states.filter((state) => this.#faults.has(keyOf(state))).length;
    const expired = states.filter(({ expiresAt }) => expiresAt <= this.#deps.now()).length;
    return new Map([
      ["held", states.length],
      ["failing", failing],
      ["expired", expired],
    ]);
  }

  /** What keeps it from being renewed though nothing failed; undefined: all is well. */
  async #tend(key: ServiceOfEnvironment): Promise<string | undefined> {
    const { states, swarm, now } = this.#deps;
    const state = states.find(key);
    if (state === undefined) return undefined;
    const held = await swarm.findService(key.service);
    if (held === undefined || labelsOf(held)[ENVIRONMENT_LABEL] !== key.environment) return this.#revoke(key);
    if (state.isApplied && now() < state.renewAt) return undefined;
    if (!BUSY.has(held.updateState)) return this.#renew(state, held);
    const endsSoon = state.expiresAt.getTime() - now().getTime() < WARN_MS;
    return endsSoon
      ? `its update is ${held.updateState}, and the secret ends ${state.expiresAt.toISOString()}`
      : undefined;
  }

  async #revoke(key: ServiceOfEnvironment): Promise<undefined> {
    await this.#deps.secrets.revoke(key);
    await this.#deps.states.delete(key);
    await this.#deps.journal.append({ event: "pull-secret-revoked", ...pick(key) });
  }

  /** The service is sent once more, as the engine has it, with another secret. @throws BridgeError */
  async #renew(state: PullState, held: HeldService): Promise<undefined> {
    const { swarm, secrets, states, journal } = this.#deps;
    this.#requireUnchanged(held);
    const pinned = imageOf(held);
    const secret = await secrets.get(state, repositoryOf(pinned));
    if ("refused" in secret) throw new BridgeError("REGISTRY", secret.refused);
    await swarm.requirePullable(pinned, secret.auth);
    await states.put({ ...toState(state, secret), isApplied: false });
    await swarm.update(held, Buffer.from(JSON.stringify(held.spec)), secret.auth);
    const now = await swarm.findService(state.service);
    if (now === undefined || templateOf(now) !== templateOf(held))
      throw new BridgeError("ENGINE", "the engine holds another task template than it was sent");
    await states.put({ ...toState(state, secret), isApplied: true });
    const { username, expiresAt } = secret;
    await journal.append({
      event: "pull-secret-renewed",
      ...pick(state),
      username,
      expiresAt: expiresAt.toISOString(),
    });
  }

  /** What somebody else made of a service is not sent in the bridge's name. @throws BridgeError ENGINE */
  #requireUnchanged(held: HeldService): void {
    const id = labelsOf(held)[INTENT_LABEL];
    const sent = this.#deps.journal.records.findLast((record) => record.id === id && isJsonObject(record.definition));
    if (sent === undefined) throw new BridgeError("ENGINE", "the journal does not know what the engine was told");
    const difference = findDifference(sent.definition, held.spec);
    if (difference !== undefined)
      throw new BridgeError("ENGINE", `the service is not as the bridge made it: ${difference}`);
  }

  #fail(key: ServiceOfEnvironment, why: string): void {
    const isNew = this.#faults.get(keyOf(key)) !== why;
    this.#faults.set(keyOf(key), why);
    if (isNew) this.#deps.log.error("bridge.pull-secret", { ...pick(key), why });
  }
}

const pick = ({ environment, service }: ServiceOfEnvironment): ServiceOfEnvironment => ({ environment, service });

function toState(
  key: ServiceOfEnvironment,
  { username, renewAt, expiresAt }: PullSecret,
): Omit<PullState, "isApplied"> {
  return { ...pick(key), username, renewAt, expiresAt };
}

/** Whether it says that the engine may be told of this one. */
const isOf = (state: PullState | undefined, { username, expiresAt }: PullSecret): boolean =>
  state?.isApplied === false && state.username === username && state.expiresAt.getTime() === expiresAt.getTime();

/** `host:port/org/app@sha256:…` → `org/app` */
function repositoryOf(pinned: string): string {
  return pinned.slice(pinned.indexOf("/") + 1, pinned.lastIndexOf("@"));
}

const templateOf = ({ spec }: HeldService): string => JSON.stringify(spec.TaskTemplate);

function imageOf({ spec }: HeldService): string {
  const { ContainerSpec }: JsonObject = isJsonObject(spec.TaskTemplate) ? spec.TaskTemplate : {};
  const image = isJsonObject(ContainerSpec) ? ContainerSpec.Image : undefined;
  if (typeof image === "string") return image;
  throw new BridgeError("ENGINE", "the engine shows a service without an image");
}
