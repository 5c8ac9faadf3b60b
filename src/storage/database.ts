import pg from "pg";
import { OciError } from "../oci/error.ts";

export type Row = pg.QueryResultRow;

/** Anything that runs SQL: the pool, or one transaction. Parameters only; text is never spliced into SQL. */
export interface Sql {
  /** `name` makes it a prepared statement of the connection: one name, one text. */
  query<R extends Row>(name: string, text: string, values?: readonly unknown[]): Promise<R[]>;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Connections of this process. */
  readonly maxConnections?: number;
  /** Told of a connection that broke while idle; the pool replaces it. */
  readonly onIdleError?: (error: Error) => void;
}

export interface PoolState {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
}

const maxRetries = 5;
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
/** Classes of a server that is away: connection, resources, operator intervention, system error, read-only standby. */
const AWAY = /^(?:08|53|57|58|25006|F0)/;

/**
 * PostgreSQL behind one door. A server that cannot be reached is OciError UNAVAILABLE (503), a full disk is
 * INSUFFICIENT_STORAGE (507); both leave the process alive and the pool able to recover.
 */
export class Database implements Sql {
  readonly #pool: pg.Pool;

  constructor({ url, maxConnections = 10, onIdleError = () => undefined }: DatabaseOptions) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: maxConnections,
      connectionTimeoutMillis: connectMs,
      statement_timeout: statementMs,
      idleTimeoutMillis: 60_000,
      application_name: "goldseal",
      // Every statement is prepared and looks rows up by index: planning it anew for each call's parameters would cost
      // several times what running it does.
      options: "-c plan_cache_mode=force_generic_plan",
    });
    this.#pool.on("error", onIdleError);
    this.#pool.on("connect", (client) => client.on("error", onIdleError));
  }

  async query<R extends Row>(name: string, text: string, values: readonly unknown[] = []): Promise<R[]> {
    try {
      return await run<R>(this.#pool, name, text, values);
    } catch (error) {
      throw translate(error);
    }
  }

  /** All of `work` or nothing. Repeated when PostgreSQL asks for it, so `work` must not act outside the database. */
  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(work);
      } catch (error) {
        if (!AGAIN.has(codeOf(error)) || attempt > maxRetries) throw translate(error);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * 2 ** attempt));
      }
    }
  }

  get pool(): PoolState {
    return { total: this.#pool.totalCount, idle: this.#pool.idleCount, waiting: this.#pool.waitingCount };
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #once<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const client = await drive(this.#pool.connect());
    let broken = false;
    try {
      await drive(client.query("begin"));
      const result = await work({ query: (name, text, values = []) => run(client, name, text, values) });
      await drive(client.query("commit"));
      return result;
    } catch (error) {
      broken = await client.query("rollback").then(
        () => false,
        () => true,
      );
      throw error;
    } finally {
      client.release(broken);
    }
  }
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
