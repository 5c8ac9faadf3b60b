import type { Outcome, Tell } from "../actions.ts";
import type { Deployer } from "../deployer.ts";
import type { Judges } from "../deployment-run.ts";
import { BridgeError, isPassing, type Refusal, toRefusal } from "../errors.ts";
import type { PassPoint } from "../failpoint.ts";
import type { Journal } from "../journal.ts";
import { labelsOf } from "../managed-service.ts";
import { OneAtATime } from "../one-at-a-time.ts";
import { STACK } from "../service-definition.ts";
import { parseServiceSpec } from "../service-spec.ts";
import { requireWithinNow } from "../spec-limits.ts";
import type { Swarm } from "../swarm.ts";
import { type Removed, removeParts, whatIs } from "./part-removal.ts";
import {
  findConflicts,
  findForeign,
  findNewNetworks,
  findPartConflicts,
  isEncrypted,
  isSameNetwork,
  type Named,
} from "./stack-conflicts.ts";
import { summarize, toEnd, toOutcome } from "./stack-outcome.ts";
import { ENVIRONMENT, type HeldPart, type Owner, type StackParts } from "./stack-parts.ts";
import { contentKey, PART_KINDS, type Part, type StackPlan } from "./stack-plan.ts";
import {
  findEnd,
  findOpenStacks,
  memberId,
  type OpenStack,
  type StackIntent,
  type StackMember,
  type StackRemoval,
} from "./stack-records.ts";

export interface StackDeps {
  readonly swarm: Pick<Swarm, "services">;
  readonly parts: StackParts;
  readonly deployer: Deployer;
  readonly journal: Journal;
  readonly resolve: Judges["resolve"];
  readonly newId: () => string;
  readonly failpoint: PassPoint;
  /** How long it is waited until nothing uses what shall be removed. */
  readonly removalMs: number;
}

/** A stack that somebody who may has ordered, with every image judged. */
export interface JudgedStack extends Omit<StackIntent, "id" | "parts" | "prune"> {
  readonly plan: StackPlan;
}

const NOTHING: Removed = { gone: [], left: [] };

interface Run {
  /** Of secrets and configs, by {@link contentKey}. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  /** Every image was judged just now. */
  readonly isFresh: boolean;
  readonly tell: Tell;
}

/** Nobody waits for what is finished after a start. */
const LATER: Run = { contents: new Map(), isFresh: false, tell: () => undefined };

/**
 * Makes stacks and takes them away. All that is in the way is found before anything is made; then secrets, configs and networks, then
 * all services at once, each of which is rolled back by itself when it fails. In the journal before and after; what secrets hold is
 * not, so what a bridge that was killed had not made yet of them is not made later, and the stack given up before any service changed.
 */
export class StackDeployer {
  readonly #deps: StackDeps;
  readonly #turns = new OneAtATime();
  /** Stacks of which something is open that is in nobody's hands. */
  readonly #loose = new Set<string>();

  constructor(deps: StackDeps) {
    this.#deps = deps;
  }

  deploy({ plan, ...judged }: JudgedStack, tell: Tell): Promise<Outcome> {
    const intent = { ...judged, id: this.#deps.newId(), prune: plan.prune, parts: plan.parts };
    return this.#inTurn(intent.stack, async () => {
      const held = await this.#deps.parts.list();
      const conflicts = [
        ...findConflicts(plan, intent, await this.#services(), held),
        ...(await this.#findUnencrypted(plan, held)),
      ];
      if (conflicts.length > 0) throw new BridgeError("CONFLICT", conflicts.join("; "));
      await this.#deps.journal.append({ event: "stack", ...intent });
      this.#deps.failpoint("bridge.afterIntent");
      return this.#carryOut(intent, { contents: plan.contents, isFresh: true, tell });
    });
  }

  async #findUnencrypted({ parts }: StackPlan, held: readonly HeldPart[]): Promise<string[]> {
    const mustEncrypt = findNewNetworks(parts, held).some(isEncrypted);
    const why = mustEncrypt ? await this.#deps.parts.whyUnencrypted() : undefined;
    return why === undefined ? [] : [why];
  }

  remove(asked: Omit<StackRemoval, "id">): Promise<Outcome> {
    const removal = { ...asked, id: this.#deps.newId() };
    return this.#inTurn(asked.stack, async () => {
      const services = await this.#services();
      const foreign = findForeign(removal, services);
      if (foreign.length > 0) throw new BridgeError("CONFLICT", foreign.join("; "));
      const isThere = services.some((one) => isOf(removal, one)) || (await this.#partsOf(removal)).length > 0;
      if (!isThere) throw new BridgeError("MISSING", `there is no stack ${asked.stack}`);
      await this.#deps.journal.append({ event: "stack-remove", ...removal });
      return this.#takeAway(removal);
    });
  }

  /** After a start: what was begun when the bridge was killed. Its services are brought to their end first. */
  async recover(): Promise<void> {
    await this.#deps.deployer.recover();
    await this.#finishAll(findOpenStacks(this.#deps.journal.records));
  }

  /** The same for what was left while it ran, because the engine did not answer. */
  async recoverLoose(): Promise<void> {
    if (this.#loose.size === 0) return;
    const stacks = new Set(this.#loose);
    this.#loose.clear();
    const open = findOpenStacks(this.#deps.journal.records);
    await this.#finishAll(open.filter((one) => stacks.has(stackOf(one))));
  }

  async #finishAll(open: readonly OpenStack[]): Promise<void> {
    await Promise.all(open.map((one) => this.#inTurn(stackOf(one), () => this.#finish(stackOf(one)))));
  }

  /** What is open now: something newer may have taken its place while this waited for its turn. */
  async #finish(stack: string): Promise<Outcome> {
    const open = findOpenStacks(this.#deps.journal.records).find((one) => stackOf(one) === stack);
    if (open === undefined) return { kind: "done" };
    return open.kind === "remove" ? this.#takeAway(open.removal) : this.#carryOut(open.intent, LATER);
  }

  #inTurn(stack: string, act: () => Promise<Outcome>): Promise<Outcome> {
    return this.#turns.run(stack, () =>
      act().catch((error: unknown) => {
        const refusal = toRefusal(error);
        if (isPassing(refusal)) this.#loose.add(stack);
        return refusal;
      }),
    );
  }

  async #carryOut(intent: StackIntent, run: Run): Promise<Outcome> {
    const { journal, failpoint } = this.#deps;
    try {
      await this.#make(intent, run);
    } catch (error) {
      const refusal = toRefusal(error);
      if (isPassing(refusal)) throw error;
      return this.#giveUp(intent, refusal);
    }
    failpoint("bridge.afterStackParts");
    const deployed = intent.members.map(
      async (member) => [member.service, await this.#deployMember(intent, member, run).catch(toRefusal)] as const,
    );
    const outcomes = new Map(await Promise.all(deployed));
    const ends = [...outcomes.values()];
    failpoint("bridge.afterStackServices");
    if (ends.some((end) => end.kind === "refuse" && isPassing(end))) {
      this.#loose.add(intent.stack);
      return toOutcome(intent.stack, outcomes, NOTHING);
    }
    const isWell = ends.every(({ kind }) => kind === "deployed");
    const removed = isWell && intent.prune ? await this.#prune(intent) : NOTHING;
    await journal.append({ event: "stack-ended", id: intent.id, services: summarize(outcomes), ...removed });
    return toOutcome(intent.stack, outcomes, removed);
  }

  /** What is there already was there before, or is what a bridge made that was killed. */
  async #make(intent: StackIntent, { contents, tell }: Run): Promise<void> {
    const { parts, journal, failpoint } = this.#deps;
    const held = await parts.list();
    // Time has passed where the bridge was killed: somebody may have made another one of the name.
    const conflicts = findPartConflicts(intent.parts, intent, held);
    if (conflicts.length > 0) throw new BridgeError("CONFLICT", conflicts.join("; "));
    const missing = intent.parts.filter((part) => !held.some((one) => isSame(part, one)));
    const lost = missing.filter((part) => part.kind !== "networks" && !contents.has(contentKey(part)));
    if (lost.length > 0)
      throw new BridgeError(
        "SPEC",
        `what ${lost.map(({ name }) => name).join(", ")} holds came with the order alone: order it again`,
      );
    for (const part of PART_KINDS.flatMap((kind) => missing.filter((one) => one.kind === kind))) {
      await parts.create(part, intent, contents);
      failpoint("bridge.afterDockerCall");
      if (part.kind === "networks") await this.#requireAsOrdered(part, intent);
      await journal.append({ event: "stack-made", id: intent.id, kind: part.kind, name: part.name });
      tell({ made: whatIs(part) });
    }
  }

  /** T25: something between the bridge and the cluster made another network of it. @throws BridgeError ENGINE, SILENT */
  async #requireAsOrdered(part: Part, owner: Owner): Promise<void> {
    const { parts } = this.#deps;
    const made = await parts.findMade(part, owner);
    if (made !== undefined && isSameNetwork(part.settings, made.settings)) return;
    if (made !== undefined) await parts.remove(made);
    throw new BridgeError("ENGINE", `the engine holds another network ${part.name} than was ordered`);
  }

  /** No service was touched. What was made of this is taken back, if nothing uses it. */
  async #giveUp(intent: StackIntent, refusal: Refusal): Promise<Refusal> {
    const { journal } = this.#deps;
    const own = journal.records.filter(({ event, id }) => event === "stack-made" && id === intent.id);
    const made = (await this.#partsOf(intent)).filter((held) =>
      own.some(({ kind, name }) => kind === held.kind && name === held.name),
    );
    await this.#removeParts(made);
    await journal.append({ event: "stack-ended", id: intent.id, reason: refusal.reason });
    return refusal;
  }

  async #deployMember(intent: StackIntent, member: StackMember, { isFresh, tell }: Run): Promise<Outcome> {
    const { id, environment, stack, user } = intent;
    const { deployer, journal, resolve } = this.#deps;
    const own = memberId(id, member.service);
    const end = findEnd(journal.records, own);
    if (end !== undefined) return toEnd(end, member);
    const parsed = parseServiceSpec(Buffer.from(member.spec));
    // Time has passed since it was judged: what was signed then may have been revoked.
    const decision = isFresh ? undefined : await resolve(member.pinned, environment, { ranBefore: true });
    if (decision?.kind === "refuse") return decision;
    if (decision !== undefined) requireWithinNow(parsed, decision.policy, environment);
    const plan = { ...member, id: own, environment, stack, user, parsed };
    return deployer.deploy(plan, (progress) => tell({ service: member.service, ...progress }));
  }

  /** What the stack had and has no longer. */
  async #prune(intent: StackIntent): Promise<Removed> {
    const kept = new Set(intent.members.map(({ service }) => service));
    const services = (await this.#services()).filter((one) => isOf(intent, one) && !kept.has(one.name));
    const removed = await this.#removeServices(intent, services);
    const spare = (await this.#partsOf(intent)).filter((held) => !intent.parts.some((part) => isSame(part, held)));
    const { gone, left } = await this.#removeParts(spare);
    return { gone: [...removed, ...gone], left };
  }

  async #takeAway(removal: StackRemoval): Promise<Outcome> {
    const services = (await this.#services()).filter((one) => isOf(removal, one));
    const removed = await this.#removeServices(removal, services);
    this.#deps.failpoint("bridge.afterStackServices");
    const { gone, left } = await this.#removeParts(await this.#partsOf(removal));
    const all = [...removed, ...gone];
    await this.#deps.journal.append({ event: "stack-ended", id: removal.id, gone: all, left });
    return { kind: "done", stack: removal.stack, removed: all, left };
  }

  /** @throws BridgeError for what could not be removed */
  async #removeServices(owner: Owner & { readonly user: string }, services: readonly Named[]): Promise<string[]> {
    const { environment, user } = owner;
    for (const { name } of services) {
      const outcome = await this.#deps.deployer.remove({ environment, service: name, user });
      if (outcome.kind === "refuse" && outcome.code !== "MISSING") throw new BridgeError(outcome.code, outcome.reason);
    }
    return services.map(({ name }) => `service ${name}`);
  }

  #removeParts(parts: readonly HeldPart[]): Promise<Removed> {
    return removeParts(this.#deps.parts, parts, this.#deps.removalMs);
  }

  async #services(): Promise<Named[]> {
    const services = await this.#deps.swarm.services();
    return services.map((held) => ({ name: String(held.spec.Name), labels: labelsOf(held) }));
  }

  async #partsOf(owner: Owner): Promise<HeldPart[]> {
    return (await this.#deps.parts.list()).filter((held) => isOf(owner, held));
  }
}

const stackOf = (open: OpenStack): string => (open.kind === "remove" ? open.removal.stack : open.intent.stack);

function isOf({ environment, stack }: Owner, { labels }: Pick<Named, "labels">): boolean {
  return labels[STACK] === stack && labels[ENVIRONMENT] === environment;
}

const isSame = ({ kind, name }: Part, held: HeldPart): boolean => held.kind === kind && held.name === name;
