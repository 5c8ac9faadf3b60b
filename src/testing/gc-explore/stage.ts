import { setTimeout as wait } from "node:timers/promises";
import type { ActorName, Parts, World } from "./world.ts";

export interface Figures {
  steps: number;
  crashes: number;
  /** How often each failpoint was stood at. */
  readonly points: Map<string, number>;
}

export interface Deed {
  readonly what: string;
  act(parts: Parts): Promise<unknown>;
}

/** Where an actor stops and waits for its turn: in a write path, with the locks it has there. */
const POINTS = /^(gc\.|blob\.(afterRename|beforeCommit|afterCommit)|manifest\.|mount\.|del\.beforeRow)/;
const PATIENCE_MS = 3;

/** Does one thing after the other, and stops at each failpoint until it is let go on. */
export class Actor {
  readonly name: ActorName;
  readonly #world: World;
  readonly #figures: Figures;
  readonly #next: () => Deed;
  #left: number;
  #doing: string | undefined;
  #parkedAt: string | undefined;
  #release: () => void = () => undefined;
  #changed = Promise.withResolvers<void>();
  #failure: unknown;
  /** What a dead one began does not end. */
  #deaths = 0;

  constructor(
    name: ActorName,
    world: World,
    { figures, count, next }: { figures: Figures; count: number; next: () => Deed },
  ) {
    this.name = name;
    this.#world = world;
    this.#figures = figures;
    this.#left = count;
    this.#next = next;
    world.failpoints.set(name, (point) =>
      POINTS.test(point) || world.storage.isStop(point) ? this.#park(point) : undefined,
    );
  }

  get isReady(): boolean {
    return this.#parkedAt !== undefined || (this.#doing === undefined && this.#left > 0);
  }

  get isParked(): boolean {
    return this.#parkedAt !== undefined;
  }

  get isBusy(): boolean {
    return this.#doing !== undefined;
  }

  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  toString(): string {
    return `${this.name}: ${this.#doing ?? "done"}${this.#parkedAt === undefined ? "" : ` at ${this.#parkedAt}`}`;
  }

  /** Let it go on until it stops again, is done, or waits for another. Throws what it met that may not be. */
  async step(): Promise<void> {
    this.#figures.steps++;
    this.#changed = Promise.withResolvers();
    if (this.#doing === undefined) this.#begin();
    else {
      this.#parkedAt = undefined;
      this.#release();
    }
    while (!(await this.#hasChanged())) if (await this.#world.isBlocked(this.name)) return;
    this.throwFailure();
  }

  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** It dies where it stands: nothing of it goes on, and PostgreSQL takes back what it had not committed. */
  async die(): Promise<void> {
    this.#figures.crashes++;
    this.#deaths++;
    this.#doing = undefined;
    this.#parkedAt = undefined;
    await this.#world.replace(this.name);
  }

  #park(point: string): Promise<void> {
    this.#figures.points.set(point, (this.#figures.points.get(point) ?? 0) + 1);
    return new Promise((release) => {
      this.#parkedAt = point;
      this.#release = release;
      this.#changed.resolve();
    });
  }

  #begin(): void {
    const { what, act } = this.#next();
    const life = this.#deaths;
    this.#left--;
    this.#doing = what;
    const end = (failure?: unknown): void => {
      if (life !== this.#deaths) return;
      this.#doing = undefined;
      this.#failure = failure;
      this.#changed.resolve();
    };
    act(this.#world.partsOf(this.name)).then(() => end(), end);
  }

  #hasChanged(): Promise<boolean> {
    return Promise.race([this.#changed.promise.then(() => true), wait(PATIENCE_MS, false)]);
  }
}
