import { setTimeout as wait } from "node:timers/promises";
import { OciError } from "../oci/error.ts";

/** An answer that says "done" without saying what: as good as none. */
export class UnclearAnswerError extends Error {}

export interface CallLimits {
  /** Of one attempt; all of them together get twice that. */
  readonly attemptMs: number;
}

export const maxRetries = 3;
const firstDelayMs = 50;
/** A server that fails everything is asked again only so often: a retry costs 5, a success and time give back. */
const maxCredit = 100;
const retryCost = 5;
const creditPerSecond = 25;

/** Names of refusals that the next attempt may not meet. */
const TRANSIENT = new Set([
  "BadDigest",
  "InternalError",
  "OperationAborted",
  "RequestTimeTooSkewed", // the client has set its clock by the answer
  "RequestTimeout",
  "ServiceUnavailable",
  "SlowDown",
  "Throttling",
  "XAmzContentChecksumMismatch",
]);
const FULL = new Set(["EntityTooLarge", "InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"]);

/** Asks an S3 server with deadlines and few retries; what it cannot do now is OciError UNAVAILABLE, 503. */
export class S3Calls {
  #credit = maxCredit;
  #creditAt = performance.now();

  /** @throws OciError UNAVAILABLE, INSUFFICIENT_STORAGE */
  async call<T>({ attemptMs }: CallLimits, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = performance.now() + 2 * attemptMs;
    for (let retries = 0; ; retries++) {
      try {
        const result = await once(Math.min(attemptMs, deadline - performance.now()), attempt);
        this.#earn(1);
        return result;
      } catch (error) {
        const delay = firstDelayMs * 2 ** retries * (0.5 + Math.random());
        const isLast = retries === maxRetries || performance.now() + delay > deadline;
        if (isLast || !isTransient(error) || !this.#pay()) throw translate(error);
        await wait(delay);
      }
    }
  }

  #earn(credit: number): void {
    this.#credit = Math.min(maxCredit, this.#credit + credit);
  }

  #pay(): boolean {
    const now = performance.now();
    this.#earn(((now - this.#creditAt) / 1000) * creditPerSecond);
    this.#creditAt = now;
    if (this.#credit < retryCost) return false;
    this.#credit -= retryCost;
    return true;
  }
}

async function once<T>(ms: number, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error(`no answer within ${Math.round(ms)} ms`)), ms);
  try {
    return await attempt(controller.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** The status of the server's refusal; undefined when there was no answer at all, or none that could be read. */
export function statusOf(error: unknown): number | undefined {
  const metadata = field(error, "$metadata");
  const status = field(metadata, "httpStatusCode");
  return typeof status === "number" ? status : undefined;
}

export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

function isTransient(error: unknown): boolean {
  if (error instanceof OciError) return false;
  const status = statusOf(error);
  // A refusal inside of a 200, or an answer that breaks off, has the status of success.
  return status === undefined || status < 300 || status >= 500 || status === 429 || TRANSIENT.has(nameOf(error));
}

function translate(cause: unknown): unknown {
  if (cause instanceof OciError) return cause;
  if (FULL.has(nameOf(cause)) || statusOf(cause) === 507) {
    return new OciError("INSUFFICIENT_STORAGE", { cause, message: "the bucket is full; nothing was stored" });
  }
  return unavailable(cause);
}

export function unavailable(cause: unknown): OciError {
  return new OciError("UNAVAILABLE", {
    message: "the registry cannot use its blob storage right now; try again in a moment",
    headers: { "Retry-After": "5" },
    cause: describe(cause),
  });
}

/** What the log says: the SDK's messages often leave out the code and the status. */
function describe(cause: unknown): Error {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new Error(`S3: ${nameOf(cause)} ${statusOf(cause) ?? ""} ${message}`.replace(/\s+/g, " "), { cause });
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
