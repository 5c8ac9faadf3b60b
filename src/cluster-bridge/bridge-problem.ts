import { ProblemError } from "../http/problem.ts";
import { bytes, type Reply } from "../http/reply.ts";
import { BridgeError, type Refusal, type RefusalCode } from "./errors.ts";

/** Wrong use of the bridge's own HTTP. */
export class BridgeRequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "BridgeRequestError";
    this.status = status;
  }
}

const STATUS: Readonly<Record<RefusalCode, number>> = {
  CLOCK: 503,
  CONFLICT: 409,
  ENGINE: 502,
  IMAGE: 400,
  MISSING: 404,
  ORDER: 403,
  PIN: 403,
  PLACEMENT: 409,
  POLICY: 403,
  REGISTRY: 502,
  SILENT: 502,
  SPEC: 403,
  STORE: 503,
  TRUST: 403,
  UNSIGNED: 403,
};

export function refused({ code, reason }: Pick<Refusal, "code" | "reason">): Reply {
  return problem(STATUS[code], code.toLowerCase(), reason);
}

/** RFC 9457. */
export function problem(status: number, code: string, detail: string): Reply {
  return bytes(status, "application/problem+json", Buffer.from(JSON.stringify({ status, code, detail })));
}

/** Undefined for what is no answer but a fault of ours. */
export function problemOf(error: unknown): Reply | undefined {
  if (error instanceof ProblemError) return problem(error.status, error.code, error.message);
  if (error instanceof BridgeRequestError) return problem(error.status, "request", error.message);
  return error instanceof BridgeError ? refused({ code: error.code, reason: error.message }) : undefined;
}
