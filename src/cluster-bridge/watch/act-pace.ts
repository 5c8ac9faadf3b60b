const MANY = 3;
export const WINDOW_MS = 600_000;
export const APART_MS = 60_000;

/** After so many acts on one thing in ten minutes the next ones come a minute apart: two automata must not race. */
export class ActPace {
  /** When each thing was acted on, oldest first. */
  readonly #acts = new Map<string, Date[]>();

  /** Things of which something is remembered. */
  get size(): number {
    return this.#acts.size;
  }

  mayAct(thing: string, at: Date): boolean {
    const ages = (this.#acts.get(thing) ?? []).map((act) => at.getTime() - act.getTime());
    return ages.filter((age) => age < WINDOW_MS).length < MANY || (ages.at(-1) ?? 0) >= APART_MS;
  }

  note(thing: string, at: Date): void {
    // Services come and go, under ever new names: what counts no longer is not kept.
    for (const [old, acts] of this.#acts)
      if (acts.every((act) => at.getTime() - act.getTime() >= WINDOW_MS)) this.#acts.delete(old);
    this.#acts.set(thing, [...(this.#acts.get(thing) ?? []).slice(1 - MANY), at]);
  }
}
