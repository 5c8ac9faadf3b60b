import pg from "pg";

/** What of a connection of `pg` is used here. */
interface Wire {
  readonly stream: { cork(): void; uncork(): void };
  readonly submittedNamedStatements: Record<string, string>;
  sync(): void;
}

/** Of whatever the statement selects. */
type Rows = pg.QueryResult["rows"];

export interface StatementText {
  /** Makes it a prepared statement of the connection: one name, one text. */
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** It was not done, because one that was sent before it failed. */
export class SkippedError extends Error {}

/** A query of `pg`, of whose methods its types name only the first; the client calls the others. */
class Statement extends pg.Query {
  declare prepare: (connection: Wire) => void;
  declare handleRowDescription: (message: unknown) => void;
  declare handleDataRow: (message: unknown) => void;
  declare handleCommandComplete: (message: unknown, connection: Wire) => void;
  declare handleError: (error: unknown, connection: Wire) => void;
  declare handleReadyForQuery: (connection: Wire) => void;
  readonly asked: StatementText;
  readonly answer: Promise<Rows>;
  isSettled = false;

  constructor(asked: StatementText) {
    const { promise, resolve, reject } = Promise.withResolvers<Rows>();
    const { name, text, values } = asked;
    super({ name, text, values: [...values], types: pg.types, ...EXTENDED }, (error, result) => {
      this.isSettled = true;
      if (error) reject(error);
      else resolve(result.rows);
    });
    this.asked = asked;
    this.answer = promise;
  }
}

/** One without a name or values would be sent as a simple query, which has no place among others. */
const EXTENDED = { queryMode: "extended" };

/**
 * Statements that go to PostgreSQL in one write and come back in one, each as of its own turn: what one locks or changes,
 * the next one sees. After one that fails none is done. The methods are those that `pg` calls on a query object it is given,
 * as it does for pg-cursor.
 * @see PostgreSQL 18 documentation, 54.2.4 "Pipelining"
 */
export class StatementBatch {
  readonly #statements: readonly Statement[];
  readonly #ended = Promise.withResolvers<void>();
  #at = 0;

  constructor(asked: readonly StatementText[]) {
    this.#statements = asked.map((one) => new Statement(one));
  }

  /** The rows of each. */
  get answers(): readonly Promise<Rows>[] {
    return this.#statements.map(({ answer }) => answer);
  }

  /** When the connection is free for the next. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** By these two the client remembers what the connection has prepared. */
  get name(): string {
    return this.#current?.asked.name ?? "";
  }
  get text(): string {
    return this.#current?.asked.text ?? "";
  }

  get #current(): Statement | undefined {
    return this.#statements[this.#at];
  }

  submit(connection: Wire): void {
    connection.stream.cork();
    const unsynced: Wire = Object.create(connection, { sync: { value: () => undefined } });
    for (const statement of this.#statements) {
      statement.prepare(unsynced);
      // A value that cannot be sent: what follows must not be done.
      if (statement.isSettled) break;
    }
    connection.sync();
    connection.stream.uncork();
  }

  handleRowDescription(message: unknown): void {
    this.#current?.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.#current?.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, connection: Wire): void {
    this.#current?.handleCommandComplete(message, connection);
    this.#at++;
  }

  handleError(error: unknown, connection: Wire): void {
    this.#current?.handleError(error, connection);
    this.#end(connection);
  }

  handleReadyForQuery(connection: Wire): void {
    this.#end(connection);
  }

  #end(connection: Wire): void {
    for (const [at, statement] of this.#statements.entries()) {
      if (at < this.#at) statement.handleReadyForQuery(connection);
      else if (!statement.isSettled)
        statement.handleError(new SkippedError("a statement before this one failed"), connection);
      // Sent, but never read: the connection does not have it.
      if (at >= this.#at) delete connection.submittedNamedStatements[statement.asked.name];
    }
    this.#ended.resolve();
  }
}

/** Gathers what is asked of one connection in each turn of the event loop, and while it is busy. */
export class StatementQueue {
  readonly #client: pg.PoolClient;
  #waiting: Waiting[] = [];
  #isBusy = false;
  #isOver = false;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  ask(statement: StatementText): Promise<Rows> {
    if (this.#isOver) throw new Error(`${statement.name} was asked of a transaction that is over`);
    const answer = Promise.withResolvers<Rows>();
    this.#waiting.push({ statement, answer });
    if (this.#waiting.length === 1) this.#sendSoon();
    return answer.promise;
  }

  /** Of work that went on side by side one part may fail while another has statements still to send: they are not sent. */
  end(): void {
    this.#isOver = true;
    for (const { answer } of this.#waiting.splice(0)) answer.reject(new SkippedError("the transaction is over"));
  }

  #sendSoon(): void {
    process.nextTick(() => {
      if (!this.#isBusy && this.#waiting.length > 0) this.#send();
    });
  }

  #send(): void {
    this.#isBusy = true;
    const simple = this.#waiting.findIndex(({ statement }) => isSimple(statement));
    const ended = simple === 0 ? this.#sendSimple() : this.#sendBatch(simple < 0 ? this.#waiting.length : simple);
    void ended.then(() => {
      this.#isBusy = false;
      this.#sendSoon();
    });
  }

  #sendBatch(size: number): Promise<void> {
    const all = this.#waiting.splice(0, size);
    const batch = new StatementBatch(all.map(({ statement }) => statement));
    batch.answers.forEach((rows, at) => void rows.then(all[at]?.answer.resolve, all[at]?.answer.reject));
    this.#client.query(batch);
    return batch.ended;
  }

  #sendSimple(): Promise<void> {
    const [one] = this.#waiting.splice(0, 1);
    return this.#client.query(one?.statement.text ?? "").then(
      ({ rows }) => one?.answer.resolve(rows),
      (error: unknown) => one?.answer.reject(error),
    );
  }
}

/** May hold several statements, as a migration does, which cannot be prepared. */
function isSimple({ name, values }: StatementText): boolean {
  return name === "" && values.length === 0;
}

interface Waiting {
  readonly statement: StatementText;
  readonly answer: PromiseWithResolvers<Rows>;
}

/** in_failed_sql_transaction: a statement before it failed. */
const ABORTED = "25P02";

/**
 * The results of work on one transaction that was begun together, so that its statements share their way to the database
 * and back. Where some of it failed, that is thrown which stands first; not what failed only because the transaction had.
 */
export async function together<T extends readonly unknown[]>(
  ...work: { readonly [K in keyof T]: Promise<T[K]> }
): Promise<T>;
export async function together(...work: readonly Promise<unknown>[]): Promise<readonly unknown[]> {
  const all = await Promise.allSettled(work);
  const failed = all.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  if (failed.length > 0) throw failed.find((reason) => !isAftermath(reason)) ?? failed[0];
  return all.map((one) => (one.status === "fulfilled" ? one.value : undefined));
}

function isAftermath(reason: unknown): boolean {
  return reason instanceof SkippedError || (reason instanceof pg.DatabaseError && reason.code === ABORTED);
}
