/**
 * Power cuts (hardening K2). A kill proves nothing about fsync: the kernel keeps what was written. So a server and its
 * PostgreSQL are recorded while writers write, and for many moments, most of them right after an answer, the disk is rebuilt
 * that a power cut would have left: what was synced, and by luck some of what was not. A server started on it must have
 * everything that had been acknowledged.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startServer } from "../../harness/server.ts";
import { mustRun } from "../../harness/tools.ts";
import { Checker } from "../checker.ts";
import { Client } from "../client.ts";
import { embeddedDatabase } from "../database.ts";
import { History } from "../history.ts";
import type { Journal } from "../journal.ts";
import { quitPostgres } from "../processes.ts";
import { makeBlob, Random } from "../random.ts";
import { checkStore } from "../store-check.ts";
import { Violation } from "../violation.ts";
import { SERVER_ENV } from "../world.ts";
import { Writer } from "../writer.ts";
import { Disk } from "./disk.ts";
import { readRecords } from "./log.ts";
import { chancy, EVERYTHING, findDifferences, type Luck, rebuild, SYNCED_ONLY } from "./rebuild.ts";
import { buildRecorder } from "./recorder.ts";
import { type Moment, type Recorded, recordSession } from "./session.ts";

const MOMENTS = 25;
const FULL_RUN = 200;
/** By turns: alone, nobody else's sync covers for one that is missing. */
const WRITERS = [1, 8, 3];
/** Kinds of sessions, from one that the seed decides on. */
const KINDS = 12;
/** Of each first start. */
const INTERRUPTIONS = 3;
/** About, for one cut and what is read after it. */
const CUT_SECONDS = 3;
/** Written through a descriptor that was handed on by another program, which the recorder does not follow. */
const UNSEEN = /^postgres\.log$/;

export interface PowerOptions {
  /** Is made, and worked in. */
  readonly folder: string;
  readonly seed: string;
  readonly journal: Journal;
  /** Cuts after these operations alone. */
  readonly after?: readonly string[] | undefined;
}

export class PowerCuts {
  readonly #folder: string;
  readonly #seed: string;
  readonly #journal: Journal;
  readonly #library: string;
  readonly #after: readonly string[] | undefined;
  readonly #firstKind: number;
  readonly #counts = new Map<string, number>();
  /** Every one that was acknowledged. */
  readonly #operations = new Set<string>();
  #cuts = 0;
  #sessions = 0;
  #records = 0;
  #readBack = 0;
  #acknowledged = 0;
  readonly #started = performance.now();

  private constructor(library: string, { folder, seed, journal, after }: PowerOptions) {
    this.#folder = folder;
    this.#seed = seed;
    this.#journal = journal;
    this.#library = library;
    this.#after = after;
    this.#firstKind = new Random(seed).between(0, KINDS - 1);
  }

  /** Undefined where there is no compiler for the recorder. */
  static async open(options: PowerOptions): Promise<PowerCuts | undefined> {
    mkdirSync(options.folder);
    chmodSync(options.folder, 0o711);
    const library = await buildRecorder(options.folder);
    return library === undefined ? undefined : new PowerCuts(library, options);
  }

  /** @throws Violation for the first thing that was acknowledged and is lost */
  async run({ cuts, seconds }: { cuts: number; seconds: number }): Promise<void> {
    const deadline = this.#started + seconds * 1000;
    await this.#prepare();
    while (this.#cuts < cuts && performance.now() < deadline) {
      const random = new Random(`${this.#seed}-session-${this.#sessions}`);
      const timely = Math.ceil((deadline - performance.now()) / 1000 / CUT_SECONDS);
      const recorded = await this.#record(random, Math.min(MOMENTS, cuts - this.#cuts, timely));
      await this.#cutAll(recorded, random, deadline);
      this.#sessions++;
    }
  }

  /** Operations that a full run made no cut after. */
  unhit(): string[] {
    return this.#cuts < FULL_RUN || this.#after ? [] : [...this.#operations].filter((op) => !this.#counts.has(op));
  }

  summary(): string {
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(0);
    const after = [...this.#counts].map(([op, count]) => `${op} ${count}`).sort();
    return (
      `power cuts: ${this.#cuts} in ${seconds} s and ${this.#sessions} sessions, ${this.#acknowledged} operations ` +
      `acknowledged, ${this.#records} records, ${this.#readBack} blobs, manifests, tags and rights read back, ` +
      `seed ${this.#seed}; right after: ${after.join(", ")}`
    );
  }

  /** Two data folders: one with nothing in it, and one that was begun and left in order. */
  async #prepare(): Promise<void> {
    const data = join(this.#folder, "used");
    for (const folder of [join(this.#folder, "empty"), data]) {
      mkdirSync(folder);
      chmodSync(folder, 0o711);
    }
    const server = await startServer({ data, workers: 1, env: SERVER_ENV });
    await server.stop();
  }

  async #record(random: Random, moments: number): Promise<Recorded> {
    const kind = this.#firstKind + this.#sessions;
    // What the first start makes must be durable too.
    const isFirstStart = kind % 2 === 0;
    const [data, origin] = [join(this.#folder, "data"), join(this.#folder, isFirstStart ? "empty" : "used")];
    rmSync(data, { recursive: true, force: true });
    await mustRun("cp", ["-a", origin, data]);
    const history = new History(this.#journal);
    history.isCollected = kind % 4 >= 2;
    const seed = `${this.#seed}-power-${this.#sessions}`;
    const fresh = [1, 2, 3, 4].map((index) => makeBlob(`${seed}-shared-${index}`, 10_000 * index));
    const commons = { repository: "admin/crash-shared", tags: ["latest", "stable", "edge"], fresh, blobs: [] };
    const count = WRITERS[kind % WRITERS.length] ?? 1;
    const writers = Array.from(
      { length: count },
      (_, index) => new Writer({ seed, index, history, commons, evenly: true }),
    );
    const disk = new Disk(data, origin);
    const [folder, library, counts, operations] = [this.#folder, this.#library, this.#counts, this.#operations];
    const options = { folder, library, counts, operations, after: this.#after };
    const recorded = await recordSession({ ...options, data, history, writers, random, moments });
    this.#acknowledged += history.acknowledged;
    const early = isFirstStart ? this.#interrupt(random, recorded.moments[0]?.position ?? 0) : [];
    return { ...recorded, moments: [...early, ...recorded.moments], disk };
  }

  /** In the middle of a first start nothing is promised yet, but that the next one gets on. */
  #interrupt(random: Random, end: number): Moment[] {
    const positions = Array.from({ length: INTERRUPTIONS }, () => random.between(0, end)).sort((a, b) => a - b);
    return positions.map((position) => ({
      position,
      history: new History(this.#journal),
      after: "part of a first start",
    }));
  }

  /** In the order of time, on one disk that takes record after record. */
  async #cutAll({ log, moments, disk }: Recorded, random: Random, deadline: number): Promise<void> {
    let position = 0;
    const advance = (to: number): void => {
      for (const { record, end } of readRecords(log.subarray(0, to), position)) {
        disk.apply(record);
        position = end;
        this.#records++;
      }
    };
    for (const moment of moments) {
      advance(moment.position);
      if (performance.now() > deadline) return;
      const luck = random.chance(0.6) ? SYNCED_ONLY : chancy(random);
      await this.#cut(disk, moment, luck);
    }
    advance(log.length);
    this.#checkRecorder(disk);
  }

  async #cut(disk: Disk, { history, after }: Moment, luck: Luck): Promise<void> {
    const data = join(this.#folder, "cut");
    rebuild(disk, data, luck);
    const where = `${after ?? "in between"}, ${luck === SYNCED_ONLY ? "only what was synced" : "and some of the rest"}`;
    console.log(`${this.#cuts + 1} ${where}`);
    const server = await startServer({ data, workers: 1, env: SERVER_ENV }).catch((error: unknown) => {
      throw new Violation("RECOVERY", `no start after a power cut (${where}): ${error}`);
    });
    const client = new Client([server]);
    try {
      const { registers } = await new Checker([client], history, embeddedDatabase(data)).check("everything");
      await checkStore(embeddedDatabase(data), join(data, "blobs"));
      this.#readBack += registers;
      this.#cuts++;
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      throw new Violation(error.kind, `after a power cut (${where}): ${error.message}`);
    } finally {
      client.close();
      await server.kill();
      await quitPostgres(data);
    }
    rmSync(data, { recursive: true, force: true });
  }

  /** With everything the disk must be what the kernel shows, or the recorder has missed something. */
  #checkRecorder(disk: Disk): void {
    const whole = join(this.#folder, "whole");
    rebuild(disk, whole, EVERYTHING);
    const data = join(this.#folder, "data");
    const wrong = findDifferences(data, whole).filter((path) => !UNSEEN.test(path));
    if (wrong.length > 0) throw new Error(`the recorder missed what happened to ${wrong.slice(0, 10).join(", ")}`);
    rmSync(whole, { recursive: true, force: true });
  }
}
