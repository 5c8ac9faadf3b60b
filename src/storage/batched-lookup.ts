/**
 * Looks keys up in groups: keys gather for as long as every turn of the event loop brings some, and while a query is
 * under way, the keys asked for meanwhile wait together for the next.
 * Nothing is kept between queries; every answer is read from the database after it was asked for.
 */
export class BatchedLookup<K, V> {
  readonly #load: (keys: readonly K[]) => Promise<readonly (V | undefined)[]>;
  readonly #maxKeys: number;
  readonly #nameOf: ((key: K) => string) | undefined;
  #waiting: Waiting<K, V>[] = [];
  #inFlight = 0;
  #isGathering = false;

  /**
   * `load` answers in the order of its keys. With `nameOf`, keys of one name that wait together are looked up once: a
   * hundred nodes that pull one tag at the same moment ask one question.
   */
  constructor(
    load: (keys: readonly K[]) => Promise<readonly (V | undefined)[]>,
    { maxKeys = 256, nameOf }: { readonly maxKeys?: number; readonly nameOf?: (key: K) => string } = {},
  ) {
    this.#load = load;
    this.#maxKeys = maxKeys;
    this.#nameOf = nameOf;
  }

  find(key: K): Promise<V | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject });
      if (!this.#isGathering) this.#gather(maxTurns, 0);
    });
  }

  /** A query costs what a dozen requests do: those that are on their way are worth waiting a turn or two for. */
  #gather(turns: number, before = this.#waiting.length): void {
    this.#isGathering = true;
    setImmediate(() => {
      if (this.#waiting.length > before && turns > 1) return this.#gather(turns - 1);
      this.#isGathering = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#waiting.length === 0 || this.#inFlight >= this.#allowed()) return;
    const batch = this.#waiting.splice(0, this.#maxKeys);
    this.#inFlight++;
    const { keys, places } = this.#distinct(batch);
    this.#load(keys)
      .then(
        (values) => batch.forEach(({ resolve }, index) => void resolve(values[places[index] ?? index])),
        (error: unknown) => batch.forEach(({ reject }) => void reject(error)),
      )
      .finally(() => {
        this.#inFlight--;
        if (!this.#isGathering && this.#waiting.length > 0) this.#gather(maxTurns, 0);
      });
  }

  /** The keys to look up, and for each that waits which of them is its own. */
  #distinct(batch: readonly Waiting<K, V>[]): { keys: K[]; places: number[] } {
    const keys: K[] = [];
    const places: number[] = [];
    const seen = new Map<string, number>();
    for (const { key } of batch) {
      const name = this.#nameOf?.(key);
      const place = name === undefined ? keys.length : (seen.get(name) ?? keys.length);
      if (place === keys.length) keys.push(key);
      if (name !== undefined) seen.set(name, place);
      places.push(place);
    }
    return { keys, places };
  }

  /** A query costs far more than a key in it, so few keys wait for the query under way and many do not. */
  #allowed(): number {
    return this.#waiting.length < crowd ? 1 : maxInFlight;
  }
}

interface Waiting<K, V> {
  readonly key: K;
  readonly resolve: (value: V | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** Of the event loop; a bound for keys that trickle in one by one. */
const maxTurns = 8;
/** Two, so that the database works on one group while this process reads the answers of the other. */
const maxInFlight = 2;
/** Keys that are worth a second query at the same time. */
const crowd = 32;
