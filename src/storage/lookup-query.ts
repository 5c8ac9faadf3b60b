/** A row as PostgreSQL wrote it: the texts of its columns, in the order of the statement. */
export type LookupRow = readonly (string | null)[];
/** One column of the keys: an array parameter of the statement. */
export type KeyColumn = readonly (string | number | null)[];

export interface Lookup {
  /** Makes it a prepared statement of the connection: one name, one text. */
  readonly name: string;
  readonly text: string;
  readonly keys: readonly KeyColumn[];
}

/** What of a connection of `pg` is used here. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  parse(message: { name: string; text: string; types: string[] }, more: boolean): void;
  bind(message: { statement: string; values: string[] }, more: boolean): void;
  execute(message: object, more: boolean): void;
  sync(): void;
}

/** The statements that each connection has prepared. */
const prepared = new WeakMap<Wire, Set<string>>();

/**
 * A prepared statement of which only the rows are wanted. `pg` itself has the columns described in every answer and
 * makes an object of each row: for a statement that finds a few rows by index that is half of its cost, on both sides.
 * The methods are those that `pg` calls on a query object it is given, as it does for pg-cursor.
 * @see PostgreSQL 18 documentation, 54.2.3 "Extended Query"
 */
export class LookupQuery {
  readonly #lookup: Lookup;
  readonly #answer = Promise.withResolvers<LookupRow[]>();
  readonly #rows: LookupRow[] = [];

  constructor(lookup: Lookup) {
    this.#lookup = lookup;
  }

  get answer(): Promise<LookupRow[]> {
    return this.#answer.promise;
  }

  submit(connection: Wire): void {
    const { name, text, keys } = this.#lookup;
    connection.stream.cork();
    if (!prepared.get(connection)?.has(name)) connection.parse({ name, text, types: [] }, true);
    connection.bind({ statement: name, values: keys.map(toArrayText) }, true);
    connection.execute({}, true);
    connection.sync();
    connection.stream.uncork();
  }

  handleDataRow({ fields }: { readonly fields: LookupRow }): void {
    this.#rows.push(fields);
  }

  handleCommandComplete(): void {
    // What follows, ReadyForQuery, ends it.
  }

  handleError(error: unknown): void {
    this.#answer.reject(error);
  }

  handleReadyForQuery(connection: Wire): void {
    const names = prepared.get(connection) ?? new Set();
    prepared.set(connection, names.add(this.#lookup.name));
    this.#answer.resolve(this.#rows);
  }
}

/** @see PostgreSQL 18 documentation, 8.15.2 "Array Value Input" */
function toArrayText(column: KeyColumn): string {
  return `{${column.map(toElement).join(",")}}`;
}

function toElement(value: string | number | null): string {
  if (value === null) return "NULL";
  return typeof value === "number" ? String(value) : `"${value.replace(/["\\]/g, "\\$&")}"`;
}
