/**
 * Looks keys up in groups: while one query is under way, the keys asked for meanwhile wait together for the next.
 * Nothing is kept between queries; every answer is read from the database after it was asked for.
 */
export class BatchedLookup<K, V> {
  readonly #load: (keys: readonly K[]) => Promise<readonly (V | undefined)[]>;
  readonly #maxKeys: number;
  readonly #nameOf: ((key: K) => string) | undefined;
  #waiting: Waiting<K, V>[] = [];
  #inFlight = 0;

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
      if (this.#waiting.length === 1 || this.#waiting.length === crowd) setImmediate(() => this.#flush());
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
        this.#flush();
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

/** Two, so that the database works on one group while this process reads the answers of the other. */
const maxInFlight = 2;
/** Keys that are worth a second query at the same time. */
const crowd = 32;
