/** Cycle after cycle: writers write, something dies, everything is read back. */
import { Checker } from "./checker.ts";
import { Collecting } from "./collecting.ts";
import { Figures } from "./figures.ts";
import type { Commons } from "./hand.ts";
import { History } from "./history.ts";
import type { Journal } from "./journal.ts";
import { fullRun, type Plan, planCycle } from "./plan.ts";
import { makeBlob, Random } from "./random.ts";
import type { World } from "./world.ts";
import { Writer } from "./writer.ts";

/** What the last, complete check and the stop may take. */
const CLOSING_SHARE = 0.2;
const SHARED_BLOBS = 4;

export interface LoopOptions {
  readonly name: string;
  readonly seed: string;
  readonly writers: number;
  readonly failpoints: readonly string[];
  /** Garbage is collected all the time, without any grace. */
  readonly collector: boolean;
  readonly journal: Journal;
  /** Of a blob; default: the writers'. */
  readonly largestBytes?: number;
}

export class Loop {
  readonly #options: LoopOptions;
  readonly #world: World;
  readonly #random: Random;
  readonly #history: History;
  readonly #failpoints: readonly string[];
  readonly #figures: Figures;
  readonly #commons: Commons;
  readonly #writers: readonly Writer[];
  readonly #collecting: Collecting | undefined;
  readonly #started = performance.now();

  constructor(world: World, options: LoopOptions) {
    const { seed, writers, journal, largestBytes } = options;
    this.#options = options;
    this.#world = world;
    this.#random = new Random(seed);
    // A short run must not always come by the same few.
    this.#failpoints = this.#random.shuffle(options.failpoints);
    this.#figures = new Figures(this.#failpoints);
    const history = new History(journal);
    history.isCollected = options.collector;
    this.#history = history;
    const commons = { repository: "admin/crash-shared", tags: ["latest", "stable", "edge"], fresh: [], blobs: [] };
    this.#commons = commons;
    const parts = { seed, history, commons, ...(largestBytes !== undefined && { largestBytes }) };
    this.#writers = Array.from({ length: writers }, (_, index) => new Writer({ ...parts, index }));
    this.#collecting = options.collector ? new Collecting() : undefined;
  }

  get acknowledged(): number {
    return this.#history.acknowledged;
  }

  get cycles(): number {
    return this.#figures.cycles;
  }

  /** @throws Violation */
  async run({ cycles, seconds }: { cycles: number; seconds: number }): Promise<void> {
    const deadline = this.#started + seconds * 1000 * (1 - CLOSING_SHARE);
    let next = this.#plan(0);
    await this.#world.start(next);
    for (let cycle = 0; cycle < cycles && performance.now() < deadline; cycle++) {
      const plan = next;
      next = this.#plan(cycle + 1);
      await this.#cycle(plan, next);
      await this.#check(this.#random);
    }
    await this.#check("everything");
    await this.#finishUploads();
    await this.#world.checkSweep();
    await this.#world.stop();
  }

  /** Failpoints that a full run did not reach; a shorter run owes nothing. */
  unhit(): string[] {
    return this.#figures.cycles >= fullRun(this.#failpoints) ? this.#figures.unhit : [];
  }

  summary(): string {
    const { acknowledged, unanswered } = this.#history;
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(0);
    const collected = this.#collecting;
    return [
      ...this.#figures.lines(),
      ...(collected ? [`collector: ${collected.runs} runs, ${collected.deleted} deleted`] : []),
      `${this.#options.name}: ${this.#figures.cycles} cycles in ${seconds} s, ${acknowledged} operations acknowledged, ` +
        `${unanswered} without an answer`,
    ].join("\n");
  }

  #plan(cycle: number): Plan {
    return planCycle(cycle, this.#failpoints, this.#world.deaths, this.#random);
  }

  async #cycle(plan: Plan, next: Plan): Promise<void> {
    const world = this.#world;
    const { cycles } = this.#figures;
    await this.#history.note({ cycle: cycles, plan });
    this.#commons.fresh = Array.from({ length: SHARED_BLOBS }, (_, index) =>
      makeBlob(`${this.#options.seed}-shared-${cycles}-${index}`, this.#random.between(64, 200_000)),
    );
    const before = this.#history.acknowledged;
    const stop = new AbortController();
    const working = Promise.all(this.#assign().map((work) => work(stop.signal)));
    const outcome = await Promise.race([world.strike(plan), failureOf(working)]).finally(() => stop.abort());
    await working;
    this.#figures.cycles++;
    this.#figures.countKill(plan.kind, outcome.failpoint);
    if (outcome.recoveryMs !== undefined) this.#figures.recoveryMs.push(outcome.recoveryMs);
    this.#figures.unavailable += world.client.unavailable;
    world.client.unavailable = 0;
    const what =
      plan.kind === "failpoint" ? `${plan.name}:${plan.pass}${outcome.failpoint ? "" : " NOT REACHED"}` : plan.kind;
    console.log(`${cycles + 1} ${what}: ${this.#history.acknowledged - before} acknowledged`);
    if (outcome.isDead) this.#figures.startMs.push(await world.start(next));
  }

  /** Uploads that earlier cycles left go to the writers by turns, all but every third: those wait for later. */
  #assign(): ((signal: AbortSignal) => Promise<void>)[] {
    const { client } = this.#world;
    const uploads = [...this.#history.uploads.values()].filter((_, index) => index % 3 !== 0);
    const writing = this.#writers.map((writer, index) => {
      const own = uploads.filter((_, at) => at % this.#writers.length === index);
      return (signal: AbortSignal) => writer.work(client, own, signal);
    });
    const collecting = this.#collecting;
    return collecting ? [...writing, (signal) => collecting.work(client, signal)] : writing;
  }

  async #check(extent: "everything" | Random): Promise<void> {
    const { registers, uploads } = await new Checker(this.#world.each, this.#history, this.#world.database).check(
      extent,
    );
    this.#figures.readBack += registers;
    this.#figures.resumable += uploads;
    const { orphans } = await this.#world.checkStore();
    this.#figures.orphans = orphans;
  }

  /** On servers without a failpoint: every upload that is open goes on and becomes its blob. */
  async #finishUploads(): Promise<void> {
    await this.#world.kill();
    await this.#world.start(undefined);
    const [writer] = this.#writers;
    await writer?.finishAll(this.#world.client, [...this.#history.uploads.values()]);
    await this.#collecting?.finish(this.#world.client);
    await this.#check(this.#random);
  }
}

/** Never settles but by failing. */
function failureOf(work: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => void work.catch(reject));
}
