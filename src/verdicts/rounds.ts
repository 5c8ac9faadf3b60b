import { describeError, type Log } from "../http/log.ts";
import type { Tag } from "../oci/reference.ts";
import type { Database } from "../storage/database.ts";
import type { TagDigests } from "../storage/tag-digests.ts";
import { isSignatureTag } from "./content.ts";
import type { PolicyJudge } from "./judge-policies.ts";
import type { VerdictsStore } from "./verdicts-store.ts";
import type { Due, WatchStore } from "./watch-store.ts";

export interface RoundsDeps {
  readonly database: Database;
  readonly judge: PolicyJudge;
  readonly watch: WatchStore;
  readonly verdicts: VerdictsStore;
  readonly tags: TagDigests;
  readonly log: Log;
  readonly now: () => Date;
}

const everyMs = 1_000;
const page = 100;
/** After the first failure; twice as long after each other one. */
const retryMs = 1_000;
const maxRetryMs = 60_000;
/** What takes long is not judged again at once, however often it changes: pulls do not wait for it. */
const restShare = 1;
const dayMs = 86_400_000;

/**
 * Judges every second what is tagged under a policy and may have changed, so that trust that is lost is on record though
 * nobody pulls. All processes look; one works. Whoever pulls in between is judged then and there.
 */
export class VerdictRounds {
  readonly #deps: RoundsDeps;
  readonly #timer: NodeJS.Timeout;
  /** Repositories that could not be judged, or took long, and when they are looked at again, in ms of this process. */
  readonly #resting = new Map<number, number>();
  /** How often each could not be judged since it last was. */
  readonly #failures = new Map<number, number>();
  #running: Promise<void> | undefined;

  constructor(deps: RoundsDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => {
      // One that takes longer than a second is not joined by another.
      this.#running ??= this.#round().finally(() => {
        this.#running = undefined;
      });
    }, everyMs);
  }

  /** Waits for the round that is under way. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #round(): Promise<void> {
    const { database, watch, log, now } = this.#deps;
    try {
      if ((await watch.listDue(now(), 0, 1)).length === 0) return;
      await database.exclusively("verdicts", () => this.#judgeDue());
    } catch (error) {
      log.error("verdicts.round-failed", describeError(error));
    }
  }

  async #judgeDue(): Promise<void> {
    const { watch, now } = this.#deps;
    for (let after = 0; ; ) {
      const due = await watch.listDue(now(), after, page);
      for (const one of due) await this.#tryJudge(one);
      const last = due.at(-1);
      if (last === undefined) return;
      after = last.repositoryId;
    }
  }

  async #tryJudge(due: Due): Promise<void> {
    const started = performance.now();
    if ((this.#resting.get(due.repositoryId) ?? 0) > started) return;
    this.#resting.delete(due.repositoryId);
    try {
      await judgeRepository(this.#deps, due);
      this.#failures.delete(due.repositoryId);
      const ended = performance.now();
      if (ended - started > everyMs) this.#resting.set(due.repositoryId, ended + restShare * (ended - started));
    } catch (error) {
      const failures = this.#failures.get(due.repositoryId) ?? 0;
      this.#failures.set(due.repositoryId, failures + 1);
      this.#resting.set(due.repositoryId, started + Math.min(retryMs * 2 ** failures, maxRetryMs));
      this.#deps.log.warn("verdicts.not-judged", { repository: due.repository, ...describeError(error) });
    }
  }
}

async function judgeRepository({ judge, watch, verdicts, tags, now }: RoundsDeps, due: Due): Promise<void> {
  await watch.settle(due.repositoryId);
  const stamp = await watch.read(due.repositoryId);
  // What it waits for is over soon.
  if (stamp === undefined) return;
  const policies = await judge.applying(due.repository, "pull", stamp);
  let until = Number.POSITIVE_INFINITY;
  for (let after = ""; policies.length > 0; ) {
    const some = await tags.page(due.repository, { after, limit: page });
    const images = some
      .filter(({ tag }) => !isSignatureTag(tag))
      .map(({ tag, digest }) => ({ ...due, tag: tag as Tag, digest }));
    until = Math.min(until, await judge.judgeTags(images, policies, stamp));
    const last = some.at(-1);
    if (last === undefined) break;
    after = last.tag;
  }
  await verdicts.sweep(due.repositoryId, new Date(now().getTime() - dayMs));
  await watch.markJudged(due.repositoryId, stamp, Number.isFinite(until) ? new Date(until) : undefined);
}
