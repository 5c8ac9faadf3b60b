/**
 * Looks keys up in groups: while one query is under way, the keys asked for meanwhile wait together for the next.
 * Nothing is kept between queries; every answer is read from the database after it was asked for.
 */
export class BatchedLookup<K, V> {
  readonly #load: (keys: readonly K[]) => Promise<readonly (V | undefined)[]>;
  readonly #maxKeys: number;
  #waiting: Waiting<K, V>[] = [];
  #inFlight = 0;

  /** `load` answers in the order of its keys. */
  constructor(load: (keys: readonly K[]) => Promise<readonly (V | undefined)[]>, maxKeys = 256) {
    this.#load = load;
    this.#maxKeys = maxKeys;
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
    this.#load(batch.map(({ key }) => key))
      .then(
        (values) => batch.forEach(({ resolve }, index) => void resolve(values[index])),
        (error: unknown) => batch.forEach(({ reject }) => void reject(error)),
      )
      .finally(() => {
        this.#inFlight--;
        this.#flush();
      });
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
