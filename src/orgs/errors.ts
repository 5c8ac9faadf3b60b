import { BodyTooLargeError } from "../http/body.ts";
import { ProblemError } from "../http/problem.ts";
import { bytes, json, type Reply, type ReplyHeaders } from "../http/reply.ts";
import type { Method } from "../http/route.ts";
import { type OciCode, OciError } from "../oci/error.ts";

export type OrgsCode =
  | "bad-proof"
  | "body-too-large"
  | "disk-full"
  | "forbidden"
  | "has-trust-data"
  | "in-use"
  | "invalid-request"
  | "key-taken"
  | "last-admin"
  | "last-owner"
  | "method-not-allowed"
  | "name-reserved"
  | "name-taken"
  | "no-challenge"
  | "not-a-member"
  | "not-empty"
  | "not-found"
  | "precondition-failed"
  | "too-many-keys"
  | "too-many-requests"
  | "trust-refused"
  | "unauthorized"
  | "unavailable";

const STATUS: Readonly<Record<OrgsCode, number>> = {
  "bad-proof": 400,
  "body-too-large": 413,
  "disk-full": 507,
  forbidden: 403,
  "has-trust-data": 409,
  "in-use": 409,
  "invalid-request": 400,
  "key-taken": 409,
  "last-admin": 409,
  "last-owner": 409,
  "method-not-allowed": 405,
  "name-reserved": 409,
  "name-taken": 409,
  "no-challenge": 409,
  "not-a-member": 409,
  "not-empty": 409,
  "not-found": 404,
  "precondition-failed": 412,
  "too-many-keys": 409,
  "too-many-requests": 429,
  "trust-refused": 409,
  unauthorized: 401,
  unavailable: 503,
};

export interface OrgsErrorOptions {
  readonly headers?: ReplyHeaders;
  readonly cause?: unknown;
  readonly decision?: string | undefined;
}

/** A refusal of the REST API or of the token service. */
export class OrgsError extends Error {
  readonly code: OrgsCode;
  readonly headers: ReplyHeaders;
  /** Of a refusal: the id to ask about it. */
  readonly decision: string | undefined;

  constructor(code: OrgsCode, message: string, options: OrgsErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "OrgsError";
    this.code = code;
    this.headers = options.headers ?? {};
    this.decision = options.decision;
  }
}

/** The REST API's form. @see RFC 9457 */
export function problemReply(error: unknown): Reply | undefined {
  if (error instanceof ProblemError) return toProblem(error.status, error, {});
  const known = toOrgsError(error);
  if (known === undefined) return undefined;
  const decision = known.decision === undefined ? {} : { decision: known.decision };
  return toProblem(STATUS[known.code], known, decision, known.headers);
}

function toProblem(status: number, { code, message }: OrgsError | ProblemError, more: object, headers?: ReplyHeaders) {
  const problem = { type: "about:blank", title: code.replaceAll("-", " "), status, code, detail: message, ...more };
  return bytes(status, "application/problem+json", Buffer.from(JSON.stringify(problem)), headers);
}

/** The token service's form, which docker prints: the one of the Distribution API, in its codes where it has them. */
export function tokenErrorReply(error: unknown): Reply | undefined {
  const known = toOrgsError(error);
  if (known === undefined) return undefined;
  const code = error instanceof OciError ? error.code : known.code.toUpperCase().replaceAll("-", "_");
  const headers = { "Cache-Control": "no-store", ...known.headers };
  const detail = known.decision === undefined ? {} : { detail: { decision: known.decision } };
  return json(STATUS[known.code], { errors: [{ code, message: known.message, ...detail }] }, headers);
}

export function notFound(): OrgsError {
  return new OrgsError("not-found", "there is no such thing here, or it is hidden from you");
}

/** The body of `If-Match` names another state than the present one. */
export const preconditionFailed = (message: string): OrgsError => new OrgsError("precondition-failed", message);

export function methodNotAllowed(allowed: readonly Method[]): OrgsError {
  return new OrgsError("method-not-allowed", `this path takes ${allowed.join(", ")}`, {
    headers: { Allow: allowed.join(", ") },
  });
}

export function invalidRequest(message: string): OrgsError {
  return new OrgsError("invalid-request", message);
}

/** What the gate and the stores throw, in this room's codes; the others are never thrown on our routes. */
const FROM_OCI: Partial<Readonly<Record<OciCode, OrgsCode>>> = {
  DENIED: "forbidden",
  INSUFFICIENT_STORAGE: "disk-full",
  NAME_INVALID: "invalid-request",
  NAME_UNKNOWN: "not-found",
  TOOMANYREQUESTS: "too-many-requests",
  UNAUTHORIZED: "unauthorized",
  UNAVAILABLE: "unavailable",
};

function toOrgsError(error: unknown): OrgsError | undefined {
  if (error instanceof OrgsError) return error;
  if (error instanceof BodyTooLargeError)
    return new OrgsError("body-too-large", "the body is larger than this path takes");
  if (!(error instanceof OciError)) return undefined;
  const code = FROM_OCI[error.code];
  if (code === undefined) return undefined;
  return new OrgsError(code, error.message, { headers: error.headers, cause: error, decision: decisionOf(error) });
}

function decisionOf({ detail }: OciError): string | undefined {
  const isOne = typeof detail === "object" && detail !== null && "decision" in detail;
  return isOne && typeof detail.decision === "string" ? detail.decision : undefined;
}
