/** Cycle after cycle: writers write, something dies, everything is read back. */
import { join } from "node:path";
import { PROVISION } from "../harness/report.ts";
import { Checker } from "./checker.ts";
import { Figures } from "./figures.ts";
import type { Commons } from "./hand.ts";
import { History } from "./history.ts";
import { Journal } from "./journal.ts";
import { fullRun, listFailpoints, type Plan, planCycle } from "./plan.ts";
import { makeBlob, Random } from "./random.ts";
import { checkStore } from "./store-check.ts";
import { checkTracedPushes } from "./traced-pushes.ts";
import { World } from "./world.ts";
import { Writer } from "./writer.ts";

/** What the last, complete check and the stop may take. */
const CLOSING_SHARE = 0.2;
const SHARED_BLOBS = 4;

export interface LoopOptions {
  readonly seed: string;
  readonly writers: number;
  /** Default: every one the server has. */
  readonly failpoints?: readonly string[];
}

export class Loop {
  readonly #data: string;
  readonly #seed: string;
  readonly #random: Random;
  readonly #journal: Journal;
  readonly #history: History;
  readonly #failpoints: readonly string[];
  readonly #figures: Figures;
  readonly #commons: Commons;
  readonly #writers: readonly Writer[];
  #world: World | undefined;
  #started = performance.now();

  private constructor(folder: string, journal: Journal, { seed, writers, failpoints }: LoopOptions) {
    this.#failpoints = failpoints ?? listFailpoints();
    this.#figures = new Figures(this.#failpoints);
    this.#data = join(folder, "data");
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#journal = journal;
    const history = new History(journal);
    this.#history = history;
    const commons = { repository: "admin/crash-shared", tags: ["latest", "stable", "edge"], fresh: [], blobs: [] };
    this.#commons = commons;
    this.#writers = Array.from({ length: writers }, (_, index) => new Writer({ seed, index, history, commons }));
  }

  static async open(folder: string, options: LoopOptions): Promise<Loop> {
    return new Loop(folder, await Journal.open(join(folder, "journal.jsonl")), options);
  }

  /** What an answer promises must outlive a power cut too. @throws Violation */
  async checkSyncs(folder: string): Promise<string> {
    const options = {
      seed: `${this.#seed}-traced`,
      index: 0,
      history: new History(this.#journal),
      commons: this.#commons,
    };
    const counts = await checkTracedPushes(folder, options);
    if (counts === undefined) return `skipped sync order: strace not found (${PROVISION} provides it)`;
    return `sync order: ${counts.rows} rows and ${counts.answers} answers, each after the syncs of what it promises`;
  }

  /** @throws Violation */
  async run({ cycles, seconds }: { cycles: number; seconds: number }): Promise<void> {
    const deadline = this.#started + seconds * 1000 * (1 - CLOSING_SHARE);
    let next = this.#plan(0);
    this.#world = await World.start(this.#data, next);
    for (let cycle = 0; cycle < cycles && performance.now() < deadline; cycle++) {
      const plan = next;
      next = this.#plan(cycle + 1);
      await this.#cycle(plan, next);
      await this.#check(this.#random);
    }
    await this.#check("everything");
    await this.#finishUploads();
    await this.#world.stop();
    await this.#journal.close();
  }

  /** After a violation: nothing goes on, everything stays. */
  async abandon(): Promise<void> {
    await this.#world?.stop().catch((error: unknown) => console.log(String(error)));
    await this.#journal.close();
  }

  /** Failpoints that a full run did not reach; a shorter run owes nothing. */
  unhit(): string[] {
    return this.#figures.cycles >= fullRun(this.#failpoints) ? this.#figures.unhit : [];
  }

  summary(verdict: string): string {
    const { acknowledged, unanswered } = this.#history;
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(0);
    const line =
      `crash: ${this.#figures.cycles} cycles in ${seconds} s, ${acknowledged} operations acknowledged, ` +
      `${unanswered} without an answer, seed ${this.#seed}: ${verdict}`;
    return [...this.#figures.lines(), line].join("\n");
  }

  #plan(cycle: number): Plan {
    return planCycle(cycle, this.#failpoints, this.#random);
  }

  async #cycle(plan: Plan, next: Plan): Promise<void> {
    const world = this.#running();
    const { cycles } = this.#figures;
    await this.#history.note({ cycle: cycles, plan });
    this.#commons.fresh = Array.from({ length: SHARED_BLOBS }, (_, index) =>
      makeBlob(`${this.#seed}-shared-${cycles}-${index}`, this.#random.between(64, 200_000)),
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
    if (outcome.isServerDead) await this.#restart(next);
  }

  /** Uploads that earlier cycles left go to the writers by turns, all but every third: those wait for later. */
  #assign(): ((signal: AbortSignal) => Promise<void>)[] {
    const { client } = this.#running();
    const uploads = [...this.#history.uploads.values()].filter((_, index) => index % 3 !== 0);
    return this.#writers.map((writer, index) => {
      const own = uploads.filter((_, at) => at % this.#writers.length === index);
      return (signal) => writer.work(client, own, signal);
    });
  }

  async #restart(plan: Plan): Promise<void> {
    this.#running().client.close();
    this.#world = await World.start(this.#data, plan);
    this.#figures.startMs.push(this.#world.startMs);
  }

  async #check(extent: "everything" | Random): Promise<void> {
    const { registers, uploads } = await new Checker(this.#running().client, this.#history).check(extent);
    this.#figures.readBack += registers;
    this.#figures.resumable += uploads;
    const { orphans } = await checkStore(this.#data);
    this.#figures.orphans = orphans;
  }

  /** On a server without a failpoint: every upload that is open goes on and becomes its blob. */
  async #finishUploads(): Promise<void> {
    const world = this.#running();
    await world.kill(false);
    world.client.close();
    this.#world = await World.start(this.#data, undefined);
    const { client } = this.#world;
    const [writer] = this.#writers;
    await writer?.finishAll(client, [...this.#history.uploads.values()]);
    await this.#check(this.#random);
  }

  #running(): World {
    if (this.#world === undefined) throw new Error("no server was started");
    return this.#world;
  }
}

/** Never settles but by failing. */
function failureOf(work: Promise<unknown>): Promise<never> {
  return new Promise((_, reject) => void work.catch(reject));
}
