import { describeError, type Log } from "../../http/log.ts";
import type { PolicyDocument } from "../../trust/policy-document.ts";
import { isPassing, toRefusal } from "../errors.ts";
import type { Journal } from "../journal.ts";
import type { Ledger } from "../ledger.ts";
import { ActPace, APART_MS, WINDOW_MS } from "./act-pace.ts";
import { findReactions } from "./reaction-plan.ts";
import type { Reaction, Reactions } from "./reactions.ts";
import type { Judged } from "./watch.ts";

export interface ReactorDeps {
  readonly journal: Pick<Journal, "records" | "append">;
  readonly ledger: Pick<Ledger, "whyFrozen" | "frozen">;
  readonly reactions: Reactions;
  readonly newId: () => string;
  readonly log: Log;
}

/**
 * Does what the policy says is done about what was found: once for each finding, in the journal before and after; again where
 * nobody answered.
 * @see docs/decisions/0051
 */
export class Reactor {
  readonly #deps: ReactorDeps;
  /** From when on each finding may be acted on again (ms), as long as it stands. */
  readonly #done = new Map<string, number>();
  /** Of acts on each scope. */
  readonly #pace = new ActPace();
  #isOver = false;

  /** What a bridge that was killed was about to do is looked at anew, like everything else. */
  constructor(deps: ReactorDeps) {
    this.#deps = deps;
    for (const { event, scope, at } of deps.journal.records)
      if (event === "reaction" && typeof scope === "string") this.#pace.note(scope, new Date(String(at)));
  }

  /** @param policy what is in force, read just now; undefined: nobody can say, and nothing is done */
  async consider(judged: Judged, policy: PolicyDocument | undefined, at: Date): Promise<void> {
    if (this.#isOver || policy === undefined || policy.expiresAt <= at) return;
    const { ledger, journal } = this.#deps;
    for (const name of ledger.frozen())
      if (!judged.services.some(({ seen }) => seen.name === name)) await journal.append({ event: "thawed", name });
    const due = findReactions(judged, policy, { at, whyFrozen: (service) => ledger.whyFrozen(service) });
    const keys = new Set(due.map(({ key }) => key));
    for (const [key, againMs] of this.#done) if (!keys.has(key) || at.getTime() > againMs) this.#done.delete(key);
    for (const reaction of due) if (this.#mayBegin(reaction, at)) this.#begin(reaction, at);
  }

  /** Begins nothing any more. What was begun is looked after at the next start, as deployments are. */
  close(): void {
    this.#isOver = true;
  }

  #mayBegin({ key, scope }: Reaction, at: Date): boolean {
    return !this.#done.has(key) && (scope === undefined || this.#pace.mayAct(scope, at));
  }

  #begin(reaction: Reaction, at: Date): void {
    this.#done.set(reaction.key, at.getTime() + WINDOW_MS);
    if (reaction.scope !== undefined) this.#pace.note(reaction.scope, at);
    this.#act(reaction, at).catch((error: unknown) => {
      if (!this.#isOver) this.#deps.log.error("watch.reaction", describeError(error));
    });
  }

  async #act(reaction: Reaction, at: Date): Promise<void> {
    const { journal, log, newId, reactions } = this.#deps;
    const { kind, name, action, reason, scope } = reaction;
    const facts = { id: newId(), kind, name, action };
    await journal.append({ event: "reaction", ...facts, reason, scope });
    const outcome = await reactions.act(reaction).catch((error: unknown) => {
      const refusal = toRefusal(error);
      // Managers who choose a leader, or a registry that is started again: that is soon over, and what was found is not.
      if (isPassing(refusal)) this.#done.set(reaction.key, at.getTime() + APART_MS);
      return `failed: ${refusal.reason}`;
    });
    log.warn("watch.reaction", { ...facts, reason, outcome });
    await journal.append({ event: "reacted", ...facts, outcome });
  }
}
