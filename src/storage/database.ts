import pg from "pg";
import { OciError } from "../oci/error.ts";
import { type Lookup, LookupQuery, type LookupRow } from "./lookup-query.ts";
import { StatementQueue, together } from "./statement-batch.ts";

export type Row = pg.QueryResultRow;

/**
 * Anything that runs SQL: the pool, or one transaction. Parameters only; text is never spliced into SQL. What is asked of a
 * transaction before the answers came goes out at once and is done in that order: see {@link together}.
 */
export interface Sql {
  /** `name` makes it a prepared statement of the connection: one name, one text. */
  query<R extends Row>(name: string, text: string, values?: readonly unknown[]): Promise<R[]>;
}

/**
 * The first thing in the transaction of a change: makes sure that its sender may make it still, and puts it on record.
 * Throws where not; then nothing was changed. May run more than once, as the transaction may.
 */
export type Confirm = (sql: Sql) => Promise<void>;

/** On what conditions a change is made. */
export interface Change {
  readonly confirm: Confirm;
  /** Told the version of what is there, undefined for nothing; throws where that is not what the sender saw. */
  readonly check: (version: string | undefined) => void;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Connections of this process. */
  readonly maxConnections?: number;
  /** How long a statement waits for a row that another transaction holds; then it is 503. Default: for ever. */
  readonly lockMs?: number;
  /** Told of a connection that broke while idle; the pool replaces it. */
  readonly onIdleError?: (error: Error) => void;
}

/** One connection that holds a lock of {@link Database.exclusively}: whoever loses it has lost the lock too. */
export interface Session extends Sql {
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
}

export interface PoolState {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

const maxRetries = 5;
/** Connections for look-ups: each kind has two queries under way at most (batched-lookup.ts). */
const maxLookups = 4;
const connectMs = 5_000;
const statementMs = 60_000;
/** serialization_failure, deadlock_detected: the transaction changed nothing and may run again. */
const AGAIN = new Set(["40001", "40P01"]);
/** disk_full, and PostgreSQL's own words for a file it could not extend. */
const FULL = new Set(["53100"]);
/** Integrity violations are answers, not faults: the store that made the statement knows what they mean. */
const CONSTRAINT = /^23/;
/** A row for a repository that was deleted a moment ago. */
const FOREIGN_KEY = "23503";
const OF_REPOSITORY = /_repository_id_fkey$/;
/** Server away: connection, resources, operator intervention, system error, standby; and a row held for too long. */
const AWAY = /^(?:08|53|57|58|25006|55P03|F0)/;

/**
 * PostgreSQL behind one door. A server that cannot be reached is OciError UNAVAILABLE (503), a full disk is
 * INSUFFICIENT_STORAGE (507); both leave the process alive and the pool able to recover.
 */
export class Database implements Sql {
  readonly #pool: pg.Pool;
  readonly #lookups: pg.Pool;

  constructor(options: DatabaseOptions) {
    const { maxConnections = 10 } = options;
    this.#pool = openPool(options, maxConnections, GENERIC_PLAN);
    this.#lookups = openPool(options, Math.min(maxConnections, maxLookups), `${GENERIC_PLAN} ${BY_INDEX}`);
  }

  query<R extends Row>(name: string, text: string, values?: readonly unknown[]): Promise<R[]> {
    return queryOn<R>(this.#pool, name, text, values);
  }

  /** Rows found by index, for keys that are asked for in every request. */
  async lookUp(lookup: Lookup): Promise<LookupRow[]> {
    try {
      const client = await drive(this.#lookups.connect());
      let broken = true;
      try {
        const rows = await drive(client.query(new LookupQuery(lookup)).answer);
        broken = false;
        return rows;
      } finally {
        client.release(broken);
      }
    } catch (error) {
      throw translate(error);
    }
  }

  /** All of `work` or nothing. Repeated when PostgreSQL asks for it, so `work` must bear being done twice. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return repeat(async () => {
      const client = await drive(this.#pool.connect());
      let broken = false;
      try {
        return await transact(client, work, () => {
          broken = true;
        });
      } finally {
        client.release(broken);
      }
    });
  }

  /**
   * `work` while no other process does work of this `name`; undefined where one does. What it asks of the session goes
   * over the connection that holds the lock: when that breaks, nothing more can be changed by it. Settings of the session
   * end with it.
   */
  async exclusively<T>(name: string, work: (session: Session) => Promise<T>): Promise<T | undefined> {
    const client = await drive(this.#pool.connect()).catch((error: unknown) => {
      throw translate(error);
    });
    let broken = false;
    const breaks = (): void => {
      broken = true;
    };
    const session: Session = {
      query: (...asked) => queryOn(client, ...asked),
      transaction: (inner) => repeat(() => transact(client, inner, breaks)),
    };
    try {
      const lock = "select pg_try_advisory_lock(hashtext($1)) as taken";
      const [row] = await session.query<{ taken: boolean }>("", lock, [name]);
      if (row?.taken !== true) return undefined;
      return await work(session);
    } finally {
      await client.query("select pg_advisory_unlock_all(); reset all").catch(breaks);
      client.release(broken);
    }
  }

  get pool(): PoolState {
    const pools = [this.#pool, this.#lookups];
    const sum = (count: (pool: pg.Pool) => number) => pools.reduce((total, pool) => total + count(pool), 0);
    return {
      total: sum(({ totalCount }) => totalCount),
      idle: sum(({ idleCount }) => idleCount),
      waiting: sum(({ waitingCount }) => waitingCount),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.end(), this.#lookups.end()]);
  }
}

async function queryOn<R extends Row>(
  on: pg.Pool | pg.PoolClient,
  name: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<R[]> {
  try {
    return await run<R>(on, name, text, values);
  } catch (error) {
    throw translate(error);
  }
}

async function repeat<T>(once: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once();
    } catch (error) {
      if (!AGAIN.has(codeOf(error)) || attempt > maxRetries) throw translate(error);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * 2 ** attempt));
    }
  }
}

/** `breaks` is called when not even a rollback gets through. */
async function transact<T>(client: pg.PoolClient, work: (sql: Sql) => Promise<T>, breaks: () => void): Promise<T> {
  const queue = new StatementQueue(client);
  const ask: Sql["query"] = async (name, text, values = []) => drive(queue.ask({ name, text, values }));
  try {
    const begun = ask("begin", "begin");
    // It has not begun: nothing may be done outside of it.
    begun.catch(() => queue.end());
    const [result] = await together(work({ query: ask }), begun);
    await ask("commit", "commit");
    return result;
  } catch (error) {
    queue.end();
    await client.query("rollback").catch(breaks);
    throw error;
  }
}

/** Every statement is prepared: planning it anew for each call's parameters would cost several times what running it does. */
const GENERIC_PLAN = "-c plan_cache_mode=force_generic_plan";
/**
 * A statement prepared while its tables are small (a registry just filled) would go through all of them for each key,
 * and be kept. A probe of an index is right for any number of rows.
 */
const BY_INDEX = [
  ...["seqscan", "hashjoin", "mergejoin", "material", "memoize", "bitmapscan"].map((way) => `-c enable_${way}=off`),
].join(" ");

function openPool(
  { url, lockMs, onIdleError = () => undefined }: DatabaseOptions,
  max: number,
  options: string,
): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    ...(lockMs === undefined ? {} : { lock_timeout: lockMs }),
    idleTimeoutMillis: 60_000,
    application_name: "goldseal",
    options,
  });
  pool.on("error", onIdleError);
  pool.on("connect", (client) => client.on("error", onIdleError));
  return pool;
}

/** Whether `error` is a violation of the constraint called `constraint` (or of any, when not given). */
export function isViolation(error: unknown, constraint?: string): boolean {
  if (!(error instanceof pg.DatabaseError) || !CONSTRAINT.test(error.code ?? "")) return false;
  return constraint === undefined || error.constraint === constraint;
}

/** What the driver threw: an error of our own rooms may say `timeout` or carry a code such as `EXPIRED` and is no fault. */
const ofDriver = new WeakSet<Error>();

async function drive<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error) ofDriver.add(error);
    throw error;
  }
}

async function run<R extends Row>(
  on: pg.Pool | pg.PoolClient,
  name: string,
  text: string,
  values: readonly unknown[],
): Promise<R[]> {
  const result = await drive(on.query<R>({ name, text, values: [...values] }));
  return result.rows;
}

function codeOf(error: unknown): string {
  return error instanceof pg.DatabaseError ? (error.code ?? "") : "";
}

/** Errors that are not PostgreSQL's own words come from the connection: it broke, or could not be made. */
function translate(cause: unknown): unknown {
  if (cause instanceof OciError || !(cause instanceof Error)) return cause;
  if (cause instanceof pg.DatabaseError) {
    const code = codeOf(cause);
    if (FULL.has(code) || (code === "58030" && /space/i.test(cause.message)))
      return new OciError("INSUFFICIENT_STORAGE", { cause });
    if (AGAIN.has(code) || AWAY.test(code)) return unavailable(cause);
    if (code === FOREIGN_KEY && OF_REPOSITORY.test(cause.constraint ?? ""))
      return new OciError("NAME_UNKNOWN", { cause });
    return cause;
  }
  return ofDriver.has(cause) && isConnectionError(cause) ? unavailable(cause) : cause;
}

function unavailable(cause: Error): OciError {
  return new OciError("UNAVAILABLE", { cause, headers: { "Retry-After": "1" } });
}

function isConnectionError(error: Error): boolean {
  const code = "code" in error ? String(error.code) : "";
  return /^E[A-Z]+$/.test(code) || /terminated|timeout|not queryable|Connection|after calling end/i.test(error.message);
}
